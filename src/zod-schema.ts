import { z } from 'zod';

/** Returns a schema without the layers that only make a value optional or give it a default. */
export function bare(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return bare(schema.def.innerType);
  }
  return schema;
}

/** Returns the schemas that a value may have: the alternatives of a union, else the schema itself. */
export function alternativesOf(schema: z.core.$ZodType): readonly z.core.$ZodType[] {
  const inner = bare(schema);
  return inner instanceof z.ZodUnion ? inner.def.options.flatMap((option) => alternativesOf(option)) : [inner];
}

/** Returns the schemas of the value at a path; more than one below a union. */
export function schemaAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly z.core.$ZodType[] {
  let schemas = alternativesOf(schema);
  for (const key of path) {
    schemas = schemas.flatMap((each) => {
      if (each instanceof z.ZodObject) {
        const field = (each.shape as Record<PropertyKey, z.core.$ZodType>)[key];
        return field ? alternativesOf(field) : [];
      }
      if (each instanceof z.ZodArray) return alternativesOf(each.element);
      return each instanceof z.ZodRecord ? alternativesOf(each.valueType) : [];
    });
  }
  return schemas;
}

/** Returns the names of the fields that objects of these schemas have. */
export function keysOf(schemas: readonly z.core.$ZodType[]): string[] {
  return schemas.flatMap((each) => (each instanceof z.ZodObject ? Object.keys(each.shape) : []));
}

import { type AsfHeader, buildHeader } from '../../src/asf/header.js';
import { type TestHeaderOptions, testHeader } from '../support/stream.js';

/** The header of a file of 1000 packets. */
export function fileHeader(options: TestHeaderOptions = {}): AsfHeader {
  const { objects, dataObject } = testHeader(options);
  const made = objects.map((object) =>
    object.type === 'fileProperties'
      ? { ...object, flags: 2, dataPacketsCount: 1_000n, playDuration: 1_010_000_000n, sendDuration: 1_000_000_000n }
      : object,
  );
  return buildHeader(made, { ...dataObject, packetCount: 1_000n });
}

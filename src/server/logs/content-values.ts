import { describeStreams } from '../../asf/describe.js';
import type { SessionContent } from '../../playback/registry.js';
import { codecsValue, countValue, type LogField, type LogValues, textValue } from '../../wmlog/fields.js';
import { MEDIA_NAMES } from '../../wmlog/log.js';

/** Returns the values that describe what a session plays; none if that is not known. */
export function contentValues(content: SessionContent | undefined): LogValues {
  const { header, file, descriptions = [] } = content ?? {};
  if (!header) return {};
  const streams = describeStreams(header);
  const codecs = (type: string) => codecsValue(streams.filter((each) => each.type === type).map(({ codec }) => codec));
  const described = Object.entries(MEDIA_NAMES).flatMap(([field, name]) => {
    const [, value] = descriptions.find(([key]) => key === name) ?? [];
    return value === undefined ? [] : [[field as LogField, textValue(value.slice(0, 1_000))] as const];
  });
  return {
    ...Object.fromEntries(described),
    ...(file ? { 's-content-path': textValue(`file://${file.path}`) } : { 'c-starttime': '0' }),
    filelength: countValue(Math.ceil((file?.durationMs ?? 0) / 1000)),
    filesize: countValue(file?.size ?? 0),
    audiocodec: codecs('audio'),
    videocodec: codecs('video'),
  };
}

import {
  AsfFileBuilder,
  type AsfHeader,
  buildHeader,
  buildPacket,
  type DataPacket,
  describeStreams,
  filterPacket,
  KeyFrameIndex,
  liveHeader,
  packetFields,
  packetStartsKeyFrame,
  parsePacket,
  parseSimpleIndex,
  rebasePacket,
  restorePadding,
  sameLayout,
  stripPadding,
} from '../../src/asf/index.js';
import { AV_INPUT, contents, hasFfmpeg, headerOf, packetsOf, readAll, Workshop } from './support.js';

/** What ffmpeg's mmsh client and libmms do with stripped packets: they pad them with zeros to full size. */
const zeroFill = (bytes: Buffer, size: number): Buffer => Buffer.concat([bytes, Buffer.alloc(size - bytes.length)]);

// Without ffmpeg and ffprobe there is nothing real to compare with.
const withFfmpeg = hasFfmpeg ? describe : describe.skip;

withFfmpeg('what ffmpeg writes (skipped only where ffmpeg or ffprobe is missing)', () => {
  let shop: Workshop;
  let file: Buffer;
  let pipe: Buffer;
  let header: AsfHeader;
  let packets: DataPacket[];

  const asFile = (of: AsfHeader, bodies: readonly Buffer[]): Buffer => Buffer.concat([of.bytes, ...bodies]);

  beforeAll(() => {
    shop = new Workshop();
    // Small packets, so that single payloads with padding are among them.
    file = shop.make('file', ...AV_INPUT(4), '-packet_size', '400');
    pipe = shop.make('pipe', ...AV_INPUT(4), '-packet_size', '400');
    const { items } = readAll(file);
    header = headerOf(items);
    packets = packetsOf(items);
  });

  afterAll(() => shop.close());

  it.each([
    ['file', 100],
    ['file', 3200],
    ['file', 16_000],
    ['pipe', 512],
    ['pipe', 3200],
  ] as const)('as a %s with packets of %i bytes is read and rebuilt byte for byte', (target, packetSize) => {
    const original = shop.make(target, ...AV_INPUT(1), '-packet_size', String(packetSize));
    const { items, reader } = readAll(original, 1000);
    expect(reader).toMatchObject({ damagedPackets: 0, truncated: false });
    const read = headerOf(items);
    expect(read.packetSize).toBe(packetSize);
    const rebuilt = buildHeader(read.objects, read.dataObject);
    const copied = buildHeader(
      read.objects.map((object) => ({ ...object })),
      read.dataObject,
    );
    expect(copied.bytes).toEqual(rebuilt.bytes);
    const bodies = packetsOf(items).map((packet) => buildPacket(packetFields(packet)));
    const again = asFile(rebuilt, bodies);
    expect(again).toEqual(original.subarray(0, again.length));
    expect(bodies.length).toBeGreaterThan(1);
  });

  it('with tags, languages and an aspect ratio is rebuilt byte for byte, even from copies of all fields', () => {
    const tags = ['title=Tïtle', 'author=A', 'copyright=C', 'comment=D', 'genre=G'].flatMap((tag) => [
      '-metadata',
      tag,
    ]);
    const languages = ['-metadata:s:a', 'language=eng', '-metadata:s:v', 'language=deu', '-aspect', '16:9'];
    const original = shop.make('file', ...AV_INPUT(1), ...tags, ...languages);
    const read = headerOf(readAll(original).items);
    const deepCopy = read.objects.map((object) =>
      object.type === 'headerExtension'
        ? { ...object, objects: object.objects.map((each) => ({ ...each })) }
        : { ...object },
    );
    expect(buildHeader(deepCopy, read.dataObject).bytes).toEqual(original.subarray(0, read.bytes.length));
    expect(read.objects.find(({ type }) => type === 'contentDescription')).toMatchObject({
      title: 'Tïtle',
      author: 'A',
    });
    expect(describeStreams(read)).toMatchObject([
      { number: 1, type: 'video', codec: 'WMV2', width: 160, height: 120 },
      { number: 2, type: 'audio', codec: 'WMA 2', samplesPerSecond: 44_100 },
    ]);
  });

  it('with chapters has a wrong count, and only that is corrected', () => {
    const chapters = shop.path('chapters.txt');
    shop.ffmpeg(...AV_INPUT(1), shop.path('plain.mkv'));
    const list =
      ';FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=one\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1000\ntitle=two\n';
    shop.write(chapters, list);
    const original = shop.make(
      'file',
      '-i',
      shop.path('plain.mkv'),
      '-i',
      chapters,
      '-map',
      '0',
      '-map_metadata',
      '1',
      '-map_chapters',
      '1',
      '-c',
      'copy',
    );
    const read = headerOf(readAll(original).items);
    expect(read.objects.find(({ type }) => type === 'marker')).toMatchObject({
      markers: [{ description: 'one' }, { description: 'two' }],
    });
    const expected = Buffer.from(original.subarray(0, read.bytes.length));
    expect(expected.readUInt32LE(24)).toBe(read.objects.length - 1);
    expected.writeUInt32LE(read.objects.length, 24);
    expect(buildHeader(read.objects, read.dataObject).bytes).toEqual(expected);
    expect(
      buildHeader(
        read.objects.map((object) => ({ ...object })),
        read.dataObject,
      ).bytes,
    ).toEqual(expected);
  });

  it('through a pipe has the packets of the file, and the same header each time', () => {
    const { items, reader } = readAll(pipe, 4096);
    expect(packetsOf(items).map(({ bytes }) => bytes)).toEqual(packets.map(({ bytes }) => bytes));
    expect(items).toHaveLength(1 + packets.length);
    expect(reader).toMatchObject({ truncated: false, damagedPackets: 0 });
    const again = headerOf(readAll(shop.make('pipe', ...AV_INPUT(1), '-packet_size', '400')).items);
    expect(sameLayout(headerOf(items), again)).toBe(true);
  });

  it('[WMSP-118] [WMHTTP-038] decodes to the same frames when padding was removed and receivers filled it with zeros', () => {
    const stripped = packets.map(stripPadding);
    expect(stripped.some((bytes) => bytes.length < header.packetSize)).toBe(true);
    for (const bytes of stripped) {
      // If the new field would take up what was cut, nothing is cut.
      if (bytes.length < header.packetSize) expect(parsePacket(bytes).paddingLength).toBe(0);
    }
    const expected = shop.frames(file);
    expect(
      shop.frames(
        asFile(
          header,
          stripped.map((bytes) => zeroFill(bytes, header.packetSize)),
        ),
      ),
    ).toBe(expected);
    expect(
      asFile(
        header,
        stripped.map((bytes) => restorePadding(parsePacket(bytes), header.packetSize)),
      ),
    ).toEqual(file.subarray(0, header.bytes.length + packets.length * header.packetSize));
  });

  it('decodes to other frames if only the Padding Length is set to 0: hence the explicit length', () => {
    const cut = packets.map((packet) => {
      const bytes = Buffer.from(packet.bytes.subarray(0, packet.end));
      bytes.writeUIntLE(0, 5, (packet.lengthTypeFlags >> 3) & 3 || 1);
      return packet.paddingLength === 0 ? packet.bytes : zeroFill(bytes, header.packetSize);
    });
    const singles = packets.filter((packet) => !packet.multiple && packet.paddingLength > 0).length;
    expect(singles).toBeGreaterThan(0);
    expect(shop.frames(asFile(header, cut))).not.toBe(shop.frames(file));
  });

  it.each([1, 2])('decodes stream %i to the same frames after the other was filtered out', (wanted) => {
    const kept = packets.flatMap((packet) => filterPacket(packet, (stream) => (stream === wanted ? 0 : 2)) ?? []);
    const filtered = kept.map((bytes) => restorePadding(parsePacket(bytes), header.packetSize));
    const map = ['-map', wanted === 1 ? '0:v' : '0:a'];
    expect(kept.length).toBeGreaterThan(10);
    expect(shop.frames(asFile(header, filtered), ...map)).toBe(shop.frames(file, ...map));
    // The stripped form of the wire, padded with zeros by the receiver.
    expect(
      shop.frames(
        asFile(
          header,
          kept.map((bytes) => zeroFill(bytes, header.packetSize)),
        ),
        ...map,
      ),
    ).toBe(shop.frames(file, ...map));
  });

  it('keeps exactly the key frames at thinning level 1', () => {
    const kept = packets.flatMap((packet) => filterPacket(packet, (stream) => (stream === 1 ? 1 : 2)) ?? []);
    const thinned = asFile(
      header,
      kept.map((bytes) => restorePadding(parsePacket(bytes), header.packetSize)),
    );
    // Only the checksums: ffmpeg guesses another time base if there are few frames.
    const sums = (text: string): string[] => text.match(/[0-9a-f]{32}$/gm) ?? [];
    const all = sums(shop.frames(file, '-map', '0:v'));
    const keys = sums(shop.frames(thinned, '-map', '0:v'));
    expect(keys).toHaveLength(4);
    for (const key of keys) expect(all).toContain(key);
  });

  it('decodes to the same frames under the live header', () => {
    const live = liveHeader(headerOf(readAll(pipe).items), { title: 'live' });
    expect(live.fileProperties).toMatchObject({ flags: 1, playDuration: 0n });
    const body = pipe.subarray(headerOf(readAll(pipe).items).bytes.length);
    expect(shop.frames(Buffer.concat([live.bytes, body]))).toBe(shop.frames(pipe));
  });

  it('plays from a key frame in the middle, rebased into a file from 0', () => {
    const start = packets.findIndex((packet, i) => i > 20 && packetStartsKeyFrame(packet, new Set([1])));
    const builder = new AsfFileBuilder(header);
    const body = packets.slice(start).map((packet) => builder.packet(packet));
    const { header: final, trailer } = builder.finish();
    const path = shop.save(Buffer.concat([final, ...body, trailer]));
    const { format } = JSON.parse(shop.probe('-show_format', '-of', 'json', path)) as {
      format: { start_time: string; duration: string };
    };
    expect(Math.abs(Number(format.start_time))).toBeLessThan(0.1);
    expect(Number(format.duration)).toBeGreaterThan(2);
    expect(Number(format.duration)).toBeLessThan(4);
  });

  it('shifts all frame times equally when rebased', () => {
    const shifted = asFile(
      header,
      packets.map((packet) => rebasePacket(packet, 10_000)),
    );
    const times = (bytes: Buffer): number[] =>
      shop.probe('-show_entries', 'packet=pts_time', '-of', 'csv=p=0', shop.save(bytes)).trim().split('\n').map(Number);
    const before = times(file);
    const after = times(shifted);
    expect(after).toHaveLength(before.length);
    const deltas = after.map((time, i) => Math.round((time - before[i]!) * 1000));
    expect(new Set(deltas)).toEqual(new Set([10_000]));
  });
});

withFfmpeg('files that are made of what ffmpeg writes to a pipe', () => {
  let shop: Workshop;
  let source: Buffer;
  let made: Buffer;

  const build = (bytes: Buffer): Buffer => {
    const { items } = readAll(bytes);
    const builder = new AsfFileBuilder(headerOf(items));
    const start = builder.start();
    const body = packetsOf(items).map((packet) => builder.packet(parsePacket(stripPadding(packet))));
    const { header, trailer } = builder.finish();
    expect(header).toHaveLength(start.length);
    return Buffer.concat([header, ...body, trailer]);
  };

  beforeAll(() => {
    shop = new Workshop();
    source = shop.make('pipe', ...AV_INPUT(8));
    made = build(source);
  });

  afterAll(() => shop.close());

  it('have the same frames', () => {
    expect(shop.frames(made)).toBe(shop.frames(source));
  });

  it('have the duration that ffmpeg reports for its own file', () => {
    const duration = (path: string): number =>
      Number(shop.probe('-show_entries', 'format=duration', '-of', 'csv=p=0', path));
    const own = duration(shop.save(shop.make('file', ...AV_INPUT(8))));
    expect(Math.abs(duration(shop.save(made)) - own)).toBeLessThan(0.1);
  });

  it('have an index with the same key frames as that of ffmpeg', () => {
    const indexOf = (bytes: Buffer): number[] => {
      const item = readAll(bytes).items.find(({ type }) => type === 'index');
      return item?.type === 'index' ? [...parseSimpleIndex(item.bytes).packetNumbers] : [];
    };
    const ours = indexOf(made);
    const theirs = indexOf(shop.make('file', ...AV_INPUT(8)));
    expect(ours.length).toBeGreaterThan(8);
    expect(ours.slice(0, theirs.length)).toEqual(theirs.slice(0, ours.length));
    const keys = new KeyFrameIndex([1]);
    for (const packet of packetsOf(readAll(made).items)) keys.add(packet);
    expect(new Set(ours)).toEqual(new Set(keys.keyFrames(1).map(({ packetNumber }) => packetNumber)));
  });

  it('are seekable: ffmpeg starts at the requested frame', () => {
    const path = shop.save(made);
    const at = (...options: string[]): string =>
      shop
        .ffmpeg(...options, '-frames:v', '1', '-map', '0:v', '-fps_mode', 'passthrough', '-f', 'framemd5', 'pipe:1')
        .toString()
        .trim()
        .split(',')
        .at(-1)!
        .trim();
    expect(at('-ss', '5', '-i', path)).toBe(at('-i', path, '-ss', '5'));
  });

  it('play if they were cut before the end', () => {
    const { items } = readAll(source);
    const builder = new AsfFileBuilder(headerOf(items));
    const body = packetsOf(items).map((packet) => builder.packet(packet));
    const whole = Buffer.concat([builder.start(), ...body]);
    const size = headerOf(items).packetSize;
    const end = builder.start().length + Math.floor(body.length * 0.6) * size;
    // Fewer bytes than any packet has before its payloads.
    const cut = whole.subarray(0, end + 10);
    const frames = shop.frames(cut, '-map', '0:v').trim().split('\n').length;
    expect(frames).toBeGreaterThan(80);
    expect(readAll(cut).reader.truncated).toBe(true);
  });

  it('do not change when they are read and written again', () => {
    const again = build(made);
    const [first, second] = [headerOf(readAll(made).items), headerOf(readAll(again).items)];
    expect(again).toEqual(made);
    expect(second.fileId).toBe(first.fileId);
  });
});

withFfmpeg('compressed payloads', () => {
  it('play like the objects that they consist of', () => {
    const shop = new Workshop();
    try {
      // Objects of at most 255 bytes, as compressed payloads require.
      const source = shop.make(
        'file',
        '-f',
        'lavfi',
        '-i',
        'sine=sample_rate=8000',
        '-t',
        '2',
        '-c:a',
        'adpcm_ms',
        '-block_size',
        '128',
        '-ac',
        '1',
        '-packet_size',
        '800',
      );
      const { items } = readAll(source);
      const header = headerOf(items);
      const objects = packetsOf(items).flatMap((packet) =>
        packet.payloads.map(({ objectSize, dataStart, dataLength, presentationTime, stream, mediaObjectNumber }) => {
          expect(objectSize).toBe(dataLength);
          return {
            stream,
            mediaObjectNumber,
            presentationTime,
            data: packet.bytes.subarray(dataStart, dataStart + dataLength),
            sendTime: packet.sendTime,
          };
        }),
      );
      const bodies = objects.map(({ stream, mediaObjectNumber, presentationTime, data, sendTime }) => {
        expect(data.length).toBeLessThan(256);
        const payload = {
          stream,
          mediaObjectNumber,
          offset: presentationTime,
          replicated: Buffer.from([0]),
          data: Buffer.concat([Buffer.from([data.length]), data]),
        };
        return buildPacket({ sendTime, duration: 0, packetSize: header.packetSize, payloads: [payload] });
      });
      expect(contents(parsePacket(bodies[0]!))).toMatchObject([{ offset: 0, time: objects[0]!.presentationTime }]);
      const live = liveHeader(header);
      expect(shop.frames(Buffer.concat([live.bytes, ...bodies]))).toBe(shop.frames(source));
    } finally {
      shop.close();
    }
  });
});

import { Command, InvalidArgumentError } from 'commander';
import { parseBitrate } from '../../src/capture/options.js';
import { parsedBy, portNumber, wholeNumber } from '../../src/cli/program.js';
import { asClock, withUnit } from '../../src/cli/reporter.js';

describe('numbers for people', () => {
  it.each([
    [0, '0 bit/s'],
    [999, '999 bit/s'],
    [1000, '1.00 kbit/s'],
    [364_200, '364 kbit/s'],
    [2_500_000, '2.50 Mbit/s'],
    [12_345_678_901, '12.3 Gbit/s'],
  ])('%d is %s', (value, text) => {
    expect(withUnit(value, 'bit/s')).toBe(text);
  });

  it.each([
    [0, '0:00:00'],
    [59.9, '0:00:59'],
    [3_661, '1:01:01'],
    [360_000, '100:00:00'],
  ])('%d s is %s', (seconds, text) => {
    expect(asClock(seconds)).toBe(text);
  });
});

describe('option parsers', () => {
  it('take whole numbers in their range and nothing else', () => {
    const parse = wholeNumber(1, 60);
    expect(parse('60')).toBe(60);
    for (const text of ['0', '61', '1.5', '-1', 'x', '']) expect(() => parse(text)).toThrow(InvalidArgumentError);
    expect(portNumber('0')).toBe(0);
    expect(() => portNumber('65536')).toThrow(/from 0 to 65535/);
  });

  it('name the option and what is wrong with its value', () => {
    const command = new Command()
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .option(
        '--video-bitrate <rate>',
        '',
        parsedBy((text) => parseBitrate(text)),
      );
    expect(() => command.parse(['node', 'x', '--video-bitrate', 'fast'])).toThrow(
      /--video-bitrate.*"fast" is not a bit rate/,
    );
  });
});

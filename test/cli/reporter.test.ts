import { jest } from '@jest/globals';
import { Reporter } from '../../src/cli/reporter.js';

describe('Reporter', () => {
  it.each([
    [{}, ['two\n', 'four\n']],
    [{ quiet: true }, []],
    [{ json: true }, []],
  ])('gives a sign of life once a minute where there is no terminal: %j', (options, expected) => {
    const lines: string[] = [];
    const write = jest.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
    const terminal = process.stderr.isTTY;
    process.stderr.isTTY = false;
    jest.useFakeTimers();
    try {
      const reporter = new Reporter(options);
      for (const [text, seconds] of [
        ['one', 59],
        ['one', 1],
        ['two', 59],
        ['three', 1],
        ['four', 1],
      ] as const) {
        reporter.status(text, true);
        reporter.status('never');
        jest.advanceTimersByTime(seconds * 1000);
      }
      expect(lines).toEqual(expected);
    } finally {
      process.stderr.isTTY = terminal;
      jest.useRealTimers();
      write.mockRestore();
    }
  });

  it('writes lines of a log in quick succession together, and in their order with messages', () => {
    const lines: string[] = [];
    const write = jest.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
    jest.useFakeTimers();
    try {
      const reporter = new Reporter();
      for (const line of ['one\n', 'two\n', 'three\n']) reporter.log(line);
      expect(lines).toEqual(['one\n']);
      jest.advanceTimersByTime(50);
      expect(lines).toEqual(['one\n', 'two\nthree\n']);
      reporter.log('four');
      reporter.warn('five');
      expect(lines.slice(2)).toEqual(['four\n', 'Warning: five\n']);
      reporter.log('six');
      process.emit('exit', 0);
      expect(lines.at(-1)).toBe('six\n');
    } finally {
      jest.useRealTimers();
      write.mockRestore();
    }
  });

  it('keeps control characters from other hosts off the terminal, but not the colours of logs', () => {
    const lines: string[] = [];
    const write = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
      lines.push(String(text));
      return true;
    });
    try {
      const reporter = new Reporter();
      reporter.warn('a\u001b]0;title\u0007b\u009b2Jc\rd\u202ee\u2028f\u001b[2Jg\ttab');
      reporter.log('\u001b[32mINFO\u001b[39m: two\nlines, Bücher\n');
    } finally {
      write.mockRestore();
    }
    expect(lines).toEqual([
      'Warning: a?]0;title?b?2Jc?d?e?f?[2Jg\ttab\n',
      '\u001b[32mINFO\u001b[39m: two\nlines, Bücher\n',
    ]);
  });
});

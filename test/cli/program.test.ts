import { Command, InvalidArgumentError } from 'commander';
import { parseBitrate } from '../../src/capture/options.js';
import {
  addCommonOptions,
  Interrupted,
  Interruption,
  newProgram,
  parsedBy,
  portNumber,
  wholeNumber,
} from '../../src/cli/program.js';
import { asClock, Reporter, withUnit } from '../../src/cli/reporter.js';
import { messageOf, WmError } from '../../src/errors.js';
import { runProgram } from './run.js';

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
  it('accept only whole numbers in their range', () => {
    const parse = wholeNumber(1, 60);
    expect(parse('60')).toBe(60);
    for (const text of ['0', '61', '1.5', '-1', 'x', '']) expect(() => parse(text)).toThrow(InvalidArgumentError);
    expect(portNumber('0')).toBe(0);
    expect(() => portNumber('65536')).toThrow(/from 0 to 65535/);
  });

  it('name the option and the problem with its value', () => {
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

function program(action: () => void | Promise<void>): Command {
  const command = newProgram('wmx', 'A program.').argument('[words...]').option('--title <text>');
  return addCommonOptions(command).action(action);
}

const fail = () => {
  throw new WmError('WM_NO_INPUT', 'There is no x.');
};

describe('how a program fails', () => {
  it('with a sentence, a hint and its exit code', async () => {
    const { exitCode, log, output } = await runProgram(program(fail));
    expect(exitCode).toBe(66);
    expect(log).toBe('Error: There is no x.\n       Check the path or the URL. [WM_NO_INPUT]\n');
    expect(output).toBe('');
  });

  it('with the stack when -v asks for it', async () => {
    const { log } = await runProgram(program(fail), '-v');
    expect(log).toMatch(/\n +at .*fail /);
  });

  it('with an event when --json is an option, not when it is given to ffmpeg', async () => {
    const { events } = await runProgram(program(fail), '--json');
    expect(events).toMatchObject([{ event: 'error', code: 'WM_NO_INPUT', message: 'There is no x.', exitCode: 66 }]);
    expect((await runProgram(program(fail), '--', '--json')).output).toBe('');
    expect((await runProgram(program(fail), '--title', '--json')).output).toBe('');
  });

  it('with an event for a wrong command line too, and exit code 2', async () => {
    const wrong = await runProgram(program(fail), '--json', '--tittle', 'x');
    expect(wrong.exitCode).toBe(2);
    const message = "Unknown option '--tittle' (Did you mean --title?).";
    expect(wrong.events).toMatchObject([{ event: 'error', code: 'WM_USAGE', message, exitCode: 2 }]);
    expect(wrong.log).toContain("error: unknown option '--tittle'");
    const behind = await runProgram(program(fail), '--tittle', '--', '--json');
    expect([behind.exitCode, behind.output]).toEqual([2, '']);
  });

  it('but not when only its help is requested', async () => {
    expect(await runProgram(program(fail), '--json', '--help')).toMatchObject({ exitCode: 0, events: [] });
  });

  it('with the exit code of the signal, whatever it reports', async () => {
    const interrupted = program(async () => {
      const { received } = new Interruption();
      process.emit('SIGTERM');
      await received;
      fail();
    });
    const { exitCode, log } = await runProgram(interrupted);
    expect(exitCode).toBe(143);
    expect(log).toContain('There is no x.');
  });
});

describe('an interruption', () => {
  it.each([
    ['SIGHUP', 129],
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends a wait silently, and the command with %d', async (signal, code) => {
    const waiting = program(async () => {
      const waited = new Interruption().race(new Promise(() => {}));
      process.emit(signal);
      await waited;
    });
    expect(await runProgram(waiting)).toMatchObject({ exitCode: code, log: '', output: '' });
  });

  it('gives work a period of grace, and closes a result that comes too late', async () => {
    await runProgram(
      program(async () => {
        const interruption = new Interruption();
        let finish: (text: string) => void = () => {};
        const work = new Promise<string>((resolve) => {
          finish = resolve;
        });
        const late = new Promise<string>((resolve) => {
          void expect(interruption.race(work, { late: resolve })).rejects.toThrow(Interrupted);
        });
        process.emit('SIGINT');
        expect(await interruption.race(Promise.resolve('in time'), { grace: 10_000 })).toBe('in time');
        await expect(interruption.race(new Promise(() => {}))).rejects.toThrow(Interrupted);
        finish('too late');
        expect(await late).toBe('too late');
      }),
    ).then(({ exitCode, log }) => expect([exitCode, log]).toEqual([130, '']));
  });

  it('counts a repeated signal, as from a closing terminal, only once', async () => {
    const twice = program(async () => {
      const { received } = new Interruption();
      process.emit('SIGHUP');
      process.emit('SIGHUP');
      await received;
      new Reporter({ json: true }).event('done');
    });
    expect(await runProgram(twice)).toMatchObject({ exitCode: 129, events: [{ event: 'done' }] });
  });
});

describe('a reporter', () => {
  it('prints only errors with -q, but all events', async () => {
    const quiet = program(() => {
      const reporter = new Reporter({ quiet: true, json: true });
      reporter.info('info');
      reporter.warn('warning');
      reporter.error(new Error('broken'));
    });
    const { log, events } = await runProgram(quiet);
    expect(log).not.toMatch(/info|warning/);
    expect(log).toContain(`Error: ${messageOf(new Error('broken'))}`);
    expect(events.map(({ event }) => event)).toEqual(['warning', 'error']);
  });
});

import { type Command, commandPacket } from '../asf/command.js';
import { CommandReader, withCommandStream } from '../asf/command-stream.js';
import type { AsfHeader } from '../asf/header.js';
import { type DataPacket, parsePacket } from '../asf/packet.js';
import { messageOf } from '../errors.js';
import type { AsfEvent, AsfSource } from './events.js';
import { MediaTime } from './media-time.js';

/** A script command and when to send it. @public */
export interface TimedCommand extends Command {
  /** Milliseconds of media from the start. */
  readonly time: number;
}

/** @public */
export interface ScriptedSourceOptions {
  /** Commands with their times, in any order. */
  readonly commands?: readonly TimedCommand[] | undefined;
  /** How often the newest TEXT is sent again for players that join later, in ms of media; default 10 000, 0 never. */
  readonly repeat?: number | undefined;
  /** False to leave a header as it is; asked for each header. Default true. */
  readonly wanted?: (() => boolean) | undefined;
  /** A type of commands that are not sent but handed over when they are due. */
  readonly marker?: { readonly type: string; readonly add: (text: string) => void } | undefined;
  /** Receives a sentence about a command that could not be sent. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** How often TEXT is sent again, in ms. */
export const TEXT_REPEAT = 10_000;

/**
 * Adds script commands to a source: a stream for them in its headers, and a packet for each one between those of the
 * media. The newest TEXT is repeated for players that join later; URL, FILENAME and EVENT never, because they would be
 * carried out once more.
 *
 * @public
 */
export class ScriptedSource implements AsfSource {
  readonly #source: AsfSource;
  readonly #options: ScriptedSourceOptions;
  #scheduled: TimedCommand[];
  #waiting: Command[] = [];
  #header: AsfHeader | undefined;
  #stream: number | undefined;
  #text: Command | undefined;
  /** Media time when the text was last sent, in ms. */
  #textAt = 0;
  #sent = 0;
  /** By how much presentation is later than sending, in ms. */
  #lead: number | undefined;

  constructor(source: AsfSource, options: ScriptedSourceOptions = {}) {
    this.#source = source;
    this.#options = options;
    this.#scheduled = [...(options.commands ?? [])].sort((a, b) => a.time - b.time);
  }

  /**
   * Sends a command with the next packet of the media.
   *
   * @param time when to send it, in ms of media from the start; default at once
   */
  send(command: Command, time?: number): void {
    if (time === undefined) this.#waiting.push(command);
    else this.#scheduled = [...this.#scheduled, { ...command, time }].sort((a, b) => a.time - b.time);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    const media = new MediaTime();
    let reader: CommandReader | undefined;
    for await (const event of this.#source) {
      media.count(event);
      if (event.type === 'header') {
        const header = (this.#options.wanted?.() ?? true) ? withCommandStream(event.header) : event.header;
        this.#header = header;
        this.#stream = header.streams.find(({ type }) => type === 'command')?.number;
        this.#lead = undefined;
        reader = new CommandReader(header);
        // Players forget it with the header, and need it no more if another one follows.
        if (this.#text && !this.#waiting.some(({ type }) => type === 'TEXT')) this.#waiting.unshift(this.#text);
        yield { type: 'header', header };
        continue;
      }
      yield event;
      if (event.type !== 'packet' || event.packet.parity) continue;
      this.#lead ??= leadOf(event.packet);
      for (const { type, text } of reader?.read(event.packet) ?? []) this.#note({ type, text }, media.milliseconds);
      yield* this.#due(event.packet.sendTime, media.milliseconds);
    }
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  /** Yields the packets of the commands that are due. */
  *#due(sendTime: number, now: number): Generator<AsfEvent, void, undefined> {
    const later = this.#scheduled.findIndex(({ time }) => time > now);
    const due = this.#scheduled.splice(0, later < 0 ? this.#scheduled.length : later);
    const { repeat = TEXT_REPEAT } = this.#options;
    const commands = [...this.#waiting.splice(0), ...due];
    if (commands.length === 0 && this.#text && repeat > 0 && now - this.#textAt >= repeat) commands.push(this.#text);
    for (const command of commands) {
      const { marker } = this.#options;
      if (command.type === marker?.type) {
        marker.add(command.text);
        continue;
      }
      const packet = this.#packet(command, sendTime);
      if (!packet) continue;
      this.#note(command, now);
      yield { type: 'packet', packet };
    }
  }

  #note(command: Command, now: number): void {
    if (command.type !== 'TEXT') return;
    this.#text = command;
    this.#textAt = now;
  }

  #packet({ type, text }: Command, sendTime: number): DataPacket | undefined {
    if (this.#header === undefined || this.#stream === undefined) return undefined;
    const { preroll, packetSize } = this.#header;
    const presentationTime = sendTime + Math.max(0, Math.min(preroll, this.#lead ?? preroll));
    const [stream, mediaObjectNumber] = [this.#stream, this.#sent++];
    try {
      return parsePacket(
        commandPacket({ type, text }, { stream, sendTime, presentationTime, mediaObjectNumber, packetSize }),
      );
    } catch (error) {
      this.#options.onWarning?.(`A command was left out: ${messageOf(error)}`);
      return undefined;
    }
  }
}

function leadOf({ payloads, sendTime }: DataPacket): number | undefined {
  const times = payloads.filter(({ presentationTime }) => presentationTime >= 0);
  if (times.length === 0) return undefined;
  return Math.max(...times.map(({ presentationTime }) => (presentationTime - sendTime) | 0));
}

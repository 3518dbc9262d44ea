import type { Socket } from 'node:net';
import { PULLED_FRAMES, PUSHED_FRAMES } from './dollar-frames.js';
import { type Fault, type FaultHook, type FaultPlan, faultsAt, strikes } from './fault-plan.js';
import { CutFrames, type FaultyProtocol, type FrameCodec, type FramedConnection } from './frame-codec.js';
import { FrameFaults } from './frame-faults.js';
import { HttpFrames, RequestMethods } from './http-frames.js';
import { Random } from './random.js';

/** How a protocol writes its stream: `http` has frames in bodies. */
export type Carrier = 'http' | FaultyProtocol;

/** A slow connection sends this often, in ms. */
const SLOW_STEP = 50;

type Done = (error?: Error | null) => void;

/** What goes out, or happens, at a place in the bytes of a connection. */
type Piece =
  | { readonly type: 'bytes'; readonly bytes: Buffer; done?: Done | undefined }
  | { readonly type: 'stall'; readonly time: number | undefined }
  | { readonly type: 'cut' }
  | { readonly type: 'end' };

/** Does the faults of a plan to the connections of a listener or a client, each with its own sequence of choices. */
export class FaultyConnections {
  readonly #plan: FaultPlan;
  #connections = 0;

  /** @param hooks of other faults have no effect; default all */
  constructor(plan: FaultPlan, hooks: readonly FaultHook[] = ['packets', 'wire', 'output']) {
    this.#plan = { ...plan, faults: faultsAt(plan, ...hooks) };
  }

  /** Makes a socket faulty from here on; call it before anything is written. */
  take(socket: Socket, carrier: Carrier): void {
    const number = ++this.#connections;
    const { connection = number } = this.#plan;
    if (connection === number && faultsAt(this.#plan, 'packets', 'wire', 'output').length > 0) {
      new FaultySocket(socket, this.#plan, number, carrier).patch();
    }
  }
}

/** Decides by a plan which requests are refused. */
export class RequestFaults {
  readonly #faults: ReadonlyArray<{ readonly fault: Fault; readonly random: Random }>;
  #count = 0;

  constructor(plan: FaultPlan) {
    this.#faults = faultsAt(plan, 'requests').map((fault, index) => ({
      fault,
      random: new Random(plan.seed, 0x200 + index),
    }));
  }

  /** Returns the status with which to refuse the next request; undefined for one that is to be answered properly. */
  next(): number | undefined {
    const count = this.#count++;
    // Each one draws, so that one fault does not change the choices of another.
    const struck = this.#faults.filter(({ fault, random }) => strikes(fault, count, random));
    return struck[0]?.fault.amount;
  }
}

/**
 * Changes what the owner of a socket writes, and holds it back. Buffers that were given are not
 * changed, since they may be other connections' as well.
 */
class FaultySocket {
  readonly #socket: Socket;
  readonly #faults: readonly Fault[];
  readonly #frames: FrameFaults;
  readonly #stream: HttpFrames | CutFrames;
  readonly #write: Socket['write'];
  readonly #end: Socket['end'];
  readonly #rate: number | undefined;
  #queue: Piece[] = [];
  #queued = 0;
  #bytes = 0;
  #isWaiting = false;
  #isFull = false;
  #isCut = false;
  readonly #struck = new Set<Fault>();

  constructor(socket: Socket, plan: FaultPlan, connection: number, carrier: Carrier) {
    this.#socket = socket;
    this.#faults = faultsAt(plan, 'output');
    this.#rate = this.#faults.find(({ name }) => name === 'slow')?.amount;
    this.#frames = new FrameFaults(plan, connection);
    this.#stream = carrier === 'http' ? this.#inBodies() : this.#cut(carrier.connection());
    this.#write = socket.write.bind(socket);
    this.#end = socket.end.bind(socket);
  }

  #inBodies(): HttpFrames {
    return new HttpFrames({ frame: (bytes, isPush) => this.#frame(bytes, isPush ? PUSHED_FRAMES : PULLED_FRAMES) });
  }

  #cut(codec: FramedConnection): CutFrames {
    return new CutFrames(
      (start) => codec.sizeOf(start),
      (frame) => this.#frame(frame, codec),
    );
  }

  patch(): void {
    const socket = this.#socket;
    const own = (): number => this.#queued;
    const inherited = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(socket) as object, 'writableLength');
    const writableLength = () =>
      own() + (socket as unknown as { _writableState: { length: number } })._writableState.length;
    Object.defineProperty(socket, 'writableLength', { ...inherited, get: writableLength, configurable: true });
    socket.write = (chunk: Uint8Array | string, encoding?: BufferEncoding | Done, done?: Done): boolean => {
      const isText = typeof chunk === 'string';
      const bytes = isText
        ? Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8')
        : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      return this.#take(bytes, typeof encoding === 'function' ? encoding : done);
    };
    socket.end = (chunk?: unknown, encoding?: unknown, done?: unknown): Socket => {
      if (typeof chunk === 'string' || chunk instanceof Uint8Array) {
        socket.write(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
      }
      const callback = [chunk, encoding, done].find((each) => typeof each === 'function') as (() => void) | undefined;
      if (callback) socket.once('finish', callback);
      this.#add([...this.#stream.end().map((bytes) => ({ type: 'bytes', bytes }) as const), { type: 'end' }]);
      return socket;
    };
    if (this.#stream instanceof HttpFrames) this.#watchRequests(this.#stream);
    socket.once('close', () => {
      const error = new Error('The connection is closed.');
      for (const piece of this.#queue.splice(0)) if (piece.type === 'bytes') piece.done?.(error);
      this.#queued = 0;
    });
    socket.on('drain', () => this.#pump());
  }

  /** Reads the methods of requests as they come, without taking them from the owner of the socket. */
  #watchRequests(http: HttpFrames): void {
    const socket = this.#socket;
    const emit = socket.emit.bind(socket);
    const reader = new RequestMethods();
    socket.emit = (event: string | symbol, ...values: unknown[]): boolean => {
      if (event === 'data' && values[0] instanceof Uint8Array) {
        for (const method of reader.push(Buffer.from(values[0]))) http.asked(method);
      }
      return emit(event, ...values);
    };
  }

  /** @returns false if the writer should wait for `drain` */
  #take(bytes: Buffer, done: Done | undefined): boolean {
    const pieces: Piece[] = [];
    for (const each of this.#stream.push(bytes)) this.#addBytes(pieces, each);
    const last = pieces.findLast((piece) => piece.type === 'bytes');
    if (last) last.done = done;
    else if (done) queueMicrotask(() => done());
    this.#add(pieces);
    if (this.#queued > 0) this.#isFull = true;
    return this.#queued === 0 && !this.#socket.writableNeedDrain;
  }

  /** A frame comes; what it causes goes out at its place. */
  #frame(bytes: Buffer, codec: FrameCodec): Buffer[] {
    const before = this.#frames.data;
    const out = this.#frames.take(bytes, codec);
    if (this.#frames.data === before) return out;
    const action = this.#faults.find(({ amount, bytes: inBytes }) => !inBytes && amount === this.#frames.data);
    if (action?.name !== 'cut' && action?.name !== 'stall') return out;
    // The bytes up to here go out first: an empty buffer marks the place.
    const mark = Buffer.alloc(0);
    this.#marks.set(mark, action);
    return [...out, mark];
  }

  readonly #marks = new Map<Buffer, Fault>();

  #addBytes(pieces: Piece[], bytes: Buffer): void {
    const action = this.#marks.get(bytes);
    if (action) {
      this.#marks.delete(bytes);
      pieces.push(actionOf(action));
      return;
    }
    let rest = bytes;
    for (const fault of this.#faults) {
      if (!fault.bytes || this.#struck.has(fault)) continue;
      const left = fault.amount! - this.#bytes;
      if (left > rest.length) continue;
      this.#struck.add(fault);
      const first = rest.subarray(0, Math.max(0, left));
      pieces.push({ type: 'bytes', bytes: first }, actionOf(fault));
      this.#bytes += first.length;
      rest = rest.subarray(first.length);
    }
    if (rest.length > 0) pieces.push({ type: 'bytes', bytes: rest });
    this.#bytes += rest.length;
  }

  #add(pieces: readonly Piece[]): void {
    // Nothing is written after a cut; the writer learns of it when the socket closes.
    if (this.#isCut) return;
    for (const piece of pieces) {
      this.#queue.push(piece);
      if (piece.type === 'bytes') this.#queued += piece.bytes.length;
    }
    this.#pump();
  }

  #pump(): void {
    while (!this.#isWaiting && this.#queue.length > 0 && !this.#socket.destroyed) {
      const piece = this.#queue.shift()!;
      if (piece.type === 'cut') {
        // What was written before has to arrive.
        this.#queue = [];
        this.#queued = 0;
        this.#isCut = true;
        this.#end(() => this.#socket.destroy());
        return;
      }
      if (piece.type === 'end') this.#end();
      else if (piece.type === 'stall') {
        this.#isWaiting = true;
        if (piece.time !== undefined) this.#wait(piece.time);
        return;
      } else this.#send(piece);
    }
    if (this.#queue.length > 0 || !this.#isFull || this.#socket.destroyed) return;
    this.#isFull = false;
    if (!this.#socket.writableNeedDrain) this.#socket.emit('drain');
  }

  #send(piece: Extract<Piece, { type: 'bytes' }>): void {
    const { bytes, done } = piece;
    const step = this.#rate === undefined ? bytes.length : Math.ceil((this.#rate * SLOW_STEP) / 8000);
    const first = bytes.subarray(0, step);
    const rest = bytes.subarray(step);
    this.#queued -= first.length;
    if (rest.length > 0) this.#queue.unshift({ type: 'bytes', bytes: rest, done });
    this.#write(first, rest.length > 0 ? undefined : done);
    if (this.#rate !== undefined) this.#wait((first.length * 8000) / this.#rate);
  }

  #wait(time: number): void {
    this.#isWaiting = true;
    setTimeout(() => {
      this.#isWaiting = false;
      this.#pump();
    }, time).unref();
  }
}

function actionOf({ name, time }: Fault): Piece {
  return name === 'cut' ? { type: 'cut' } : { type: 'stall', time };
}

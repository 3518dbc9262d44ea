// Many RTSP players in one process: each describes, sets up every stream and plays; RTP packets are counted by their sequence numbers.
//   node bench/load-rtsp.mjs HOST PORT PATH PLAYERS SECONDS RAMP_PER_SECOND [PID] [tcp|udp]
import net from 'node:net';
import { datagramSocket, run } from './players.mjs';

const [host, port, path, players, seconds, ramp, , transport = 'tcp'] = process.argv.slice(2);
if (!host.startsWith('127.')) throw new Error('Loopback only.');
const url = `rtsp://${host}:${port}${path}`;

class Player {
  #tally;
  #socket;
  #udp;
  #rest = Buffer.alloc(0);
  #sequence = 0;
  #session = '';
  #controls = [];
  #base = url;
  #playing = false;

  constructor(tally) {
    this.#tally = tally;
    this.#socket = net.connect({ host, port: Number(port) });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      tally.ended = true;
    });
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.once('connect', async () => {
      if (transport === 'udp') this.#udp = await datagramSocket(host, (bytes) => this.#rtp(bytes));
      this.#ask('DESCRIBE', url, 'Accept: application/sdp\r\n');
    });
  }

  #ask(method, target, more = '') {
    const session = this.#session && `Session: ${this.#session}\r\n`;
    const supported = 'Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.eosmsg\r\n';
    this.#socket.write(
      `${method} ${target} RTSP/1.0\r\nCSeq: ${++this.#sequence}\r\nUser-Agent: WMPlayer/9.0.0.4503\r\n${supported}${session}${more}\r\n`,
    );
  }

  #take(chunk) {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (;;) {
      if (data[0] === 0x24) {
        const size = data.length < 4 ? Number.POSITIVE_INFINITY : 4 + data.readUInt16BE(2);
        if (data.length < size) break;
        if (data[1] % 2 === 0) this.#rtp(data.subarray(4, size));
        data = data.subarray(size);
        continue;
      }
      const end = data.indexOf('\r\n\r\n');
      if (end === -1) break;
      const head = data.toString('latin1', 0, end);
      const size = end + 4 + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      if (data.length < size) break;
      this.#answer(head, data.toString('latin1', end + 4, size));
      data = data.subarray(size);
    }
    this.#rest = Buffer.from(data);
  }

  #answer(head, body) {
    if (!head.startsWith('RTSP/')) {
      this.#socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${/^cseq: *(\d+)/im.exec(head)?.[1] ?? 0}\r\n\r\n`);
      return;
    }
    if (!/^RTSP\/1.0 200/.test(head)) {
      this.#tally.wrong++;
      return;
    }
    this.#session ||= /^session: *(\d+)/im.exec(head)?.[1] ?? '';
    if (body.includes('m=')) {
      this.#base = /^a=control:(\S+)/m.exec(body)?.[1] ?? url;
      for (const media of body.split(/^m=/m).slice(1)) {
        if (/x-asf-pf/.test(media)) this.#controls.push(/^a=control:(\S+)/m.exec(media)?.[1] ?? '');
      }
    }
    const control = this.#controls.shift();
    if (control !== undefined) {
      const channel = 2 * this.#sequence;
      const way = this.#udp
        ? `RTP/AVP/UDP;unicast;client_port=${this.#udp.address().port}`
        : `RTP/AVP/TCP;unicast;interleaved=${channel}-${channel + 1}`;
      this.#ask('SETUP', control.includes('://') ? control : this.#base + control, `Transport: ${way};mode=PLAY\r\n`);
    } else if (!this.#playing) {
      this.#playing = true;
      this.#ask('PLAY', this.#base, 'Range: npt=0.000-\r\n');
    }
  }

  #rtp(bytes) {
    this.#tally.bytes += bytes.length;
    if (bytes.length < 16 || bytes[0] >> 6 !== 2) this.#tally.wrong++;
    else this.#tally.packet(bytes.readUInt16BE(2), 16);
  }
}

run((tally) => new Player(tally), { players, seconds, ramp });

import type { NscFile } from '../../announce/nsc.js';
import { describeStreams } from '../../asf/edit.js';
import { WmError } from '../../errors.js';
import type { AddressGuard } from '../../http/address-guard.js';
import { HttpClient } from '../../http/client.js';
import { PLAYER_PRODUCT } from '../../http/product.js';
import { clientLogForWeb } from '../../wmlog/client-log.js';
import { isValidationPage } from '../../wmlog/line.js';
import type { EntryReport } from './session.js';

/** The facts about a receiver that every log of its session repeats. */
export interface LogContext {
  readonly nsc: NscFile;
  /** Where the .nsc file was found. */
  readonly nscUrl: string | undefined;
  /** c-playerid: the same in all logs of a session ([MS-WMLOG] 2.1.18). */
  readonly playerId: string;
  /** When the log is written. */
  readonly now: Date;
}

/** Longest wait for the web server, in ms. */
const TIMEOUT = 5_000;

/**
 * Returns the body that a multicast client submits to the Log URL of its .nsc file: a Legacy Log as
 * `MX_STATS_LogLine:`, a blank, a tab, and the 47 values ([MS-WMLOG] 2.3, 2.5.4, 3.6; [MS-MSB] 3.2.5.4).
 */
export function logBody(report: EntryReport, { nsc, nscUrl, playerId, now }: LogContext): string {
  const { header, startedAt, endedAt, received, reordered, recovered, lost, longestGap } = report;
  const codecs = (kind: string) =>
    describeStreams(header)
      .filter(({ type }) => type === kind)
      .map(({ codec }) => codec);
  const host = nsc.address.includes(':') ? `[${nsc.address}]` : nsc.address;
  const group = `asfm://${host}:${nsc.port}`;
  return clientLogForWeb('legacy', {
    now,
    usedUrl: group,
    // 2.1.32: the URL of a multicast is that of its group, wherever its .nsc file was found.
    requestedUrl: group,
    startTime: 0,
    duration: Math.abs((report.lastSendTime - report.firstSendTime) | 0),
    receiving: endedAt - startedAt,
    rate: 1,
    reconnected: false,
    playerId,
    playerVersion: PLAYER_PRODUCT.split('/')[1]!,
    userAgent: PLAYER_PRODUCT,
    fileLength: 0,
    fileSize: 0,
    averageBandwidth: report.averageBandwidth,
    audioCodecs: codecs('audio'),
    videoCodecs: codecs('video'),
    bytes: report.bytes,
    packets: received,
    losses: { lost, longestGap, recovered, resent: reordered },
    multicast: { channelUrl: nscUrl, address: nsc.address },
    descriptions: [],
  });
}

/**
 * Submits a log to a web server: asks with GET whether the server takes logs, then POSTs it.
 *
 * @throws WmError WM_USAGE for a URL that is not http://, WM_PROTOCOL if the server does not take logs, WM_UNREACHABLE,
 *   WM_SERVER_GONE
 */
export async function submitReport(
  logUrl: string,
  report: EntryReport,
  context: LogContext,
  guard?: AddressGuard,
): Promise<void> {
  const url = URL.canParse(logUrl) ? new URL(logUrl) : undefined;
  if (url?.protocol !== 'http:') throw new WmError('WM_USAGE', `${logUrl} is not an http:// URL.`);
  const target = `${url.pathname}${url.search}`;
  const answer = await request(url, 'GET', target, guard);
  if (!isValidationPage(answer)) {
    throw new WmError('WM_PROTOCOL', `${logUrl} does not take logs.`);
  }
  await request(url, 'POST', target, guard, Buffer.from(logBody(report, context), 'utf8'));
}

/** @returns the body of the response */
async function request(
  url: URL,
  method: string,
  target: string,
  guard: AddressGuard | undefined,
  body?: Buffer,
): Promise<string> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const client = await HttpClient.connect({ host, port: Number(url.port || 80), timeout: TIMEOUT, guard });
  try {
    const described = body === undefined ? [] : ([['Content-Type', 'text/plain;charset=UTF-8']] as const);
    const length = body === undefined ? [] : ([['Content-Length', String(body.length)]] as const);
    const common = [
      ['User-Agent', PLAYER_PRODUCT] as const,
      ['Cache-Control', 'no-cache'] as const,
      ['Connection', 'close'] as const,
    ];
    client.send(method, target, [['Host', url.host], ...common, ...described, ...length], body);
    const response = await client.response(TIMEOUT);
    if (response.head.status !== 200) {
      throw new WmError('WM_PROTOCOL', `${url.href} answered ${method} with status ${response.head.status}.`);
    }
    return response.body.toString('latin1');
  } finally {
    client.destroy();
  }
}

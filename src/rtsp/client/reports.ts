import type { Field } from '../../framing/text-head.js';
import type { LinkContext } from '../../receiving/link.js';
import { type ReportState, StreamReport } from '../../receiving/report.js';
import { type ClientLogKind, connectTimeLogXml, type LossLogFields } from '../../wmlog/client-log.js';
import { remoteLogEvent } from '../../wms/remote-event.js';
import type { RtspDialog } from './dialog.js';
import type { RtspPeer } from './peer.js';

/** The logs and events of a client (MS-RTSP 2.2.7.6, 2.2.7.7, 2.2.7.11); a server's answer to them changes nothing. */
export class RtspReports {
  readonly #peer: RtspPeer;
  readonly #context: LinkContext;
  readonly #dialog: RtspDialog;
  readonly #transport: 'TCP' | 'UDP';
  readonly #losses: () => LossLogFields;
  readonly #report: StreamReport;
  #toldConnect = false;

  constructor(
    peer: RtspPeer,
    context: LinkContext,
    dialog: RtspDialog,
    transport: 'tcp' | 'udp',
    losses: () => LossLogFields,
  ) {
    this.#peer = peer;
    this.#context = context;
    this.#dialog = dialog;
    this.#transport = transport === 'udp' ? 'UDP' : 'TCP';
    this.#losses = losses;
    const { identity, playerId, options } = peer;
    this.#report = new StreamReport(
      { userAgent: identity.text, playerId, requestedUrl: options.url },
      context.received,
    );
  }

  /** LogConnect, once in a session, in case that the client is cut off before it can report more. */
  connected(): void {
    if (this.#toldConnect) return;
    this.#toldConnect = true;
    this.#send('application/x-wms-Logconnectstats', connectTimeLogXml(new Date(), this.#transport));
  }

  /** LogPlay: a Streaming Log if a remote-log event follows, else a Legacy Log (MS-RTSP 3.1.4.7). */
  played(): void {
    this.#send('application/x-wms-Logplaystats', this.#text(this.#submitsRemoteLog ? 'streaming' : 'legacy'));
  }

  /** SendEvent with a Rendering Log, if the server wants that and the content came faster than it was played. */
  rendered(): void {
    if (!this.#submitsRemoteLog) return;
    const { identity, guid } = this.#peer;
    const log = this.#text('rendering');
    const body = remoteLogEvent({ userAgent: identity.text, guid, url: this.#dialog.url.href, log });
    this.#event(body, []);
  }

  /** Forwards the event of a client of this one, for proxies (MS-RTSP 2.2.6.24, 2.2.6.25). */
  forward(body: Buffer, agent: string): void {
    const isField = /^[\x20-\x7e]{1,500}$/.test(agent);
    this.#event(body, [
      ['Via', `RTSP/1.0 ${this.#peer.identity.token}`],
      ...(isField ? [['X-Proxy-Client-Agent', agent] as const] : []),
      ['X-Proxy-Client-Verb', 'SendEvent'],
    ]);
  }

  #event(body: Buffer, fields: readonly Field[]): void {
    if (!this.#dialog.isOpen) return;
    void this.#dialog.tell('SET_PARAMETER', { type: 'application/x-wms-sendevent', body, fields });
  }

  get #submitsRemoteLog(): boolean {
    const { speed = 1, log = true } = this.#peer.options;
    return (
      log &&
      speed > 1 &&
      (this.#dialog.supported?.has('fastcache') ?? false) &&
      this.#dialog.subscription.has('remote-log')
    );
  }

  #send(type: string, text: string): void {
    if (this.#peer.options.log === false || !this.#dialog.isOpen) return;
    void this.#dialog.tell('SET_PARAMETER', { type: `${type};charset=UTF-8`, body: Buffer.from(text, 'utf8') });
  }

  #text(kind: ClientLogKind): string {
    const { header, reconnects } = this.#context;
    const state: ReportState = {
      usedUrl: this.#dialog.url.href,
      header,
      descriptions: [],
      live: header?.broadcast ?? false,
      reconnected: reconnects > 0,
      rate: this.#peer.options.rate ?? 1,
      protocol: 'rtsp',
      transport: this.#transport,
      ...(this.#transport === 'UDP' ? { losses: this.#losses() } : {}),
    };
    return this.#report.text(kind, 'xml', state);
  }
}

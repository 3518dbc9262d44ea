import { describeStreams } from '../../asf/edit.js';
import type { AsfHeader } from '../../asf/header.js';
import type { Received } from '../../receiving/received.js';
import { hostProgram } from '../../wmlog/client-log.js';
import { buildClientLog } from '../../wmlog/mms-log.js';
import type { ReceptionCounts } from './reception.js';

/** The state that a report describes. */
export interface ReportState {
  readonly url: string;
  readonly openFileId: number;
  readonly userAgent: string;
  readonly playerId: string;
  readonly header: AsfHeader | undefined;
  readonly live: boolean;
  readonly rate: number;
  readonly transport: 'tcp' | 'udp';
  readonly received: Received;
  readonly counts: ReceptionCounts;
}

/** Builds the CLIENT_LOG of what was received since the last start (MS-MMSP 2.2.1). */
export function clientLog(state: ReportState): Buffer {
  const { header, live, received, counts, transport } = state;
  const streams = header === undefined ? [] : describeStreams(header);
  const codecs = (type: string) => streams.filter((stream) => stream.type === type).map(({ codec }) => codec);
  const file = live ? undefined : header?.fileProperties;
  const { lost, longestGap, recovered, resent, requests } = counts;
  const all = received.packets + lost;
  const { os, osVersion, cpu, program, programVersion } = hostProgram();
  return buildClientLog({
    url: state.url,
    channelUrl: '',
    userAgent: state.userAgent,
    hostingWebPage: '',
    clientVersion: /\/([\d.]+)/.exec(state.userAgent)?.[1] ?? '0.0.0.0',
    language: 'en-US',
    playerId: state.playerId,
    hostProgram: program,
    hostVersion: programVersion,
    fileDuration: file === undefined ? 0 : Math.max(0, Number(file.playDuration) / 1e4 - file.preroll),
    fileSize: file === undefined ? 0 : Number(file.fileSize),
    averageBandwidth: received.averageBandwidth ?? 0,
    audioCodec: codecs('audio')[0] ?? '',
    videoCodec: codecs('video')[0] ?? '',
    startTime: live ? 0 : received.firstSendTime,
    played: received.duration,
    rate: state.rate,
    bufferingCount: 0,
    bufferingTime: 0,
    bytesReceived: received.bytes,
    packetsReceived: received.packets,
    packetsLostClient: lost,
    packetsRecoveredEcc: 0,
    quality: all === 0 ? 100 : (100 * received.packets) / all,
    hr: 0,
    sourceId: state.openFileId,
    // Private, as players set it since version 7 (2.2.1.1).
    address: undefined,
    computerDns: '',
    os,
    osVersion,
    cpu,
    protocol: 'mms',
    transport: transport.toUpperCase(),
    packetsLostNet: lost + recovered,
    packetsLostContNet: longestGap,
    resendRequests: requests,
    packetsRecoveredResent: recovered,
    packetsResent: resent,
  });
}

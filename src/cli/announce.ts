import { Command } from 'commander';
import { type AsxEntry, buildAsx } from '../announce/asx.js';
import { buildM3u } from '../announce/m3u.js';
import { buildNsc, type NscFile } from '../announce/nsc.js';
import { messageOf, WmError } from '../errors.js';
import { isNscLocation, openNsc } from '../msb/client/open-nsc.js';
import { pointUrls } from '../server/web/web.js';
import { replaceFile } from './multicast-target.js';
import { addForceOption, type OutputOptions, refuseExisting } from './output-file.js';
import { addCommonOptions } from './program.js';
import { refuseCredentials } from './push-target.js';
import { Reporter, type ReporterOptions } from './reporter.js';

interface AnnounceOptions extends ReporterOptions, OutputOptions {
  readonly asx?: string;
  readonly m3u?: string;
  readonly nsc?: string;
  readonly title?: string;
  readonly author?: string;
  readonly copyright?: string;
  readonly logUrl?: string;
  readonly unicastUrl?: string;
}

/** Builds `wmcast announce`. */
export function announceCommand(): Command {
  const command = new Command('announce')
    .description('Writes .asx, .m3u and .nsc files that lead players to a stream.')
    .argument('<url...>', 'points and files on servers, for example http://server:8080/live, or .nsc files')
    .option('--asx <file>', 'write an .asx file; - for standard output, which is the default')
    .option('--m3u <file>', 'write an .m3u playlist')
    .option('--nsc <file>', 'write the .nsc file of a multicast point, as its server has it now')
    .option('--title <text>', 'title that players show')
    .option('--author <text>', 'author')
    .option('--copyright <text>', 'copyright notice')
    .option('--log-url <url>', 'where players send their logs')
    .option('--unicast-url <url>', 'where receivers without multicast find the same stream')
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast announce http://server:8080/live --asx live.asx --title "The news"' +
        '\n  wmcast announce http://server:8080/live --nsc live.nsc --log-url http://logs/log.dll',
    );
  return addCommonOptions(addForceOption(command)).action((urls: string[], options: AnnounceOptions) =>
    announce(urls, options),
  );
}

async function announce(urls: readonly string[], options: AnnounceOptions): Promise<void> {
  const reporter = new Reporter(options);
  const { asx, m3u, nsc, title, author, copyright, logUrl } = options;
  for (const url of urls) refuseCredentials(url);
  for (const file of [asx, m3u, nsc]) if (file !== undefined) await refuseExisting(file, options);
  const written: string[] = [];
  const put = async (target: string, text: string) => {
    if (target === '-') process.stdout.write(text);
    else await replaceFile(target, text);
    written.push(target);
  };
  const about = { author, copyright, ...(logUrl === undefined ? {} : { logUrls: [logUrl] }) };
  const entries = urls.map((url): AsxEntry => ({ title, ...about, refs: refsOf(url) }));
  if (nsc !== undefined) {
    if (urls.length > 1) throw new WmError('WM_USAGE', '--nsc is for a single multicast; give one URL.');
    await put(nsc, buildNsc({ ...(await multicastOf(urls[0]!, reporter)), ...moreOf(options) }));
  }
  if (m3u !== undefined) await put(m3u, buildM3u(entries.map(({ refs }) => ({ url: refs[0]!, title }))));
  if (asx !== undefined || written.length === 0) await put(asx ?? '-', buildAsx(entries));
  const files = written.filter((target) => target !== '-');
  if (options.json && files.length === written.length) reporter.event('done', { files });
  if (files.length > 0) reporter.info(`Wrote ${files.join(', ')}.`);
}

function moreOf({ title, logUrl, unicastUrl }: AnnounceOptions): Partial<NscFile> {
  const given = { name: title, logUrl, unicastUrl };
  return Object.fromEntries(Object.entries(given).filter(([, text]) => text !== undefined));
}

/** Returns the URLs for players, in order of preference. @throws WmError WM_USAGE */
function refsOf(text: string): string[] {
  if (isNscLocation(text)) return [text];
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = url?.protocol.slice(0, -1);
  if (!url || scheme === undefined || !/^(?:https?|mms[hut]?|rtsp[tu]?|msbd)$/.test(scheme)) {
    throw new WmError('WM_USAGE', `"${text}" is not the URL of a stream, such as http://server:8080/live.`);
  }
  // A URL with a query names something other than the point, and other schemes already say how to play it.
  if (!/^https?$/.test(scheme) || url.search !== '') return [text];
  return pointUrls(url.host, decodedPath(url), scheme === 'https');
}

function decodedPath({ pathname }: URL): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}

async function multicastOf(url: string, reporter: Reporter): Promise<NscFile> {
  const location = isNscLocation(url) ? url : `${url.split(/[?#]/, 1)[0]!.replace(/\/$/, '')}.nsc`;
  if (!isNscLocation(location))
    throw new WmError('WM_USAGE', `The multicast of ${url} cannot be looked up; give an http:// URL.`);
  try {
    return await openNsc(location, { onNote: (text) => reporter.warn(text) });
  } catch (error) {
    if (!(error instanceof WmError) || error.code !== 'WM_PROTOCOL') throw error;
    throw new WmError('WM_PROTOCOL', `${url} announces no multicast: ${messageOf(error)}`, { cause: error });
  }
}

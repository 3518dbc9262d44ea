import type { Rewrite } from './proxy.js';

/** Faults of a server, and rules that each of them breaks. */
export const FAULTS: ReadonlyArray<readonly [fault: string, rules: readonly string[]]> = [
  ['lose=5%', ['sequence', 'objects-whole']],
  ['duplicate=5%', ['sequence', 'packets-once']],
  ['reorder=5%', ['sequence', 'location-ids']],
  ['delay=5%:300ms', ['sequence', 'location-ids']],
  ['corrupt=5%', ['same-for-all', 'objects-unchanged']],
  ['jump=100:10s', ['send-times-steady']],
  ['jump=100:-10s', ['send-times-rise']],
  ['lengths=5%', ['framing', 'mms-packet-size']],
  ['flags=5%', ['sequence']],
  ['locations=5%', ['location-ids']],
  ['change=50', ['order']],
  ['no-end', ['end']],
  ['cut-header=20', ['header-whole']],
  ['cut=100', ['end']],
  ['cut=64kB', ['end', 'whole-packets']],
  ['stall=100', ['no-silence', 'answers-in-order', 'stop']],
  ['stall=100:4s', ['no-silence']],
  ['slow=64k', ['keeps-pace']],
  ['refuse=503:30%', ['content-served']],
  ['refuse=404:1/3', ['content-served']],
];

const replace =
  (pattern: RegExp, by: string): Rewrite =>
  (text) =>
    text.replace(pattern, by);

let counter = 0;

/** Changes of what a good server sends, and the rules that they break. */
export const CHANGES: ReadonlyArray<readonly [what: string, rewrite: Rewrite, rules: readonly string[]]> = [
  ['no slash in Server', replace(/Server: Cougar\/[^\r]*/g, 'Server: Cougar 4.1.0.3920'), ['server-product']],
  ['no client-id', replace(/client-id=\d+/g, 'client-id=none'), ['client-id']],
  ['another client-id', (text) => text.replace(/client-id=\d+/g, () => `client-id=${++counter}`), ['client-id-kept']],
  ['one client-id for all', replace(/client-id=\d+/g, 'client-id=5'), ['client-ids-differ']],
  ['no no-cache', replace(/Pragma: no-cache, ?/g, 'Pragma: '), ['no-cache']],
  ['other caching', replace(/Cache-Control: no-cache/g, 'Cache-Control: public'), ['cache-control']],
  ['a feature of its own', replace(/features="/g, 'features="flying,'), ['features']],
  ['a short timeout', replace(/timeout=\d+/g, 'timeout=5'), ['timeout']],
  [
    'the type of a text',
    replace(/application\/[a-z.-]*(?:framed|asfv1)/g, 'text/html'),
    ['describe-type', 'play-type'],
  ],
  ['a token of requests', replace(/\r\nServer:/g, '\r\nPragma: rate=1.000\r\nServer:'), ['response-tokens']],
  [
    'chunks',
    replace(/Content-Length: [1-9]\d*/g, 'Transfer-Encoding: chunked'),
    ['describe-not-chunked', 'describe-length', 'http-syntax'],
  ],
  [
    'chunks in a Play',
    (text, request) =>
      request.includes('HTTP/1.1') ? text : text.replace('framed', 'framed\r\nTransfer-Encoding: chunked'),
    ['plain-play-not-chunked'],
  ],
  ['no chunks', replace(/Transfer-Encoding: chunked/g, 'X-Encoding: none'), ['pipeline-test']],
  [
    'no chunks in a pipelined Play',
    (text, request) =>
      request.includes('version11') ? text.replace('Transfer-Encoding: chunked', 'X-Encoding: none') : text,
    ['pipelined-play'],
  ],
  ['Supported for all', replace(/\r\nServer:/g, '\r\nSupported: com.microsoft.wm.sswitch\r\nServer:'), ['old-players']],
  [
    'a startup profile',
    replace(/\r\nServer:/g, '\r\nX-StartupProfile: Rate=10;\r\nServer:'),
    ['startup-profile-asked'],
  ],
  ['much acceleration', replace(/AccelBW=\d+/g, 'AccelBW=99999999'), ['acceleration']],
  [
    'success instead of errors',
    replace(/HTTP\/1\.(\d) 4\d\d[^\r]*/g, 'HTTP/1.$1 200 OK'),
    ['unknown-path', 'session-known', 'one-request-type', 'method-known', 'streaming-once', 'malformed-refused'],
  ],
  ['no xResetStrm', replace(/xResetStrm=1/g, 'xNothing=1'), ['session-reset']],
  [
    'errors instead of success',
    replace(/HTTP\/1\.(\d) 2\d\d[^\r]*/g, 'HTTP/1.$1 500 Oh'),
    ['content-served', 'keep-alive-confirmed', 'content-info-confirmed'],
  ],
  [
    'errors for POST',
    (text, request) => (request.startsWith('POST') ? text.replace(/HTTP\/1\.\d 2\d\d/g, 'HTTP/1.0 500') : text),
    ['log-confirmed', 'keep-alive-confirmed', 'content-info-confirmed'],
  ],
  ['no result of the pipeline test', replace(/pipeline-result=1/g, 'pipeline-result=7'), ['pipeline-test']],
  ['other metadata', replace(/broadcast-id/g, 'broadcast_id'), ['metadata-form']],
  ['packet pair without saying so', replace(/packet-pair-experiment=1/g, 'packet-pair-experiment=0'), ['packet-pair']],
  ['a body for HEAD', (text, request) => (request.startsWith('HEAD') ? `${text}body` : text), ['head-without-body']],
  [
    'a length that lies',
    (text) => text.replace(/Content-Length: ([1-9]\d*)/g, (_, size: string) => `Content-Length: ${Number(size) + 9}`),
    ['body-length'],
  ],
  [
    'no HTTP',
    (text, request) => (request.startsWith('HEAD') ? text.replace('HTTP/1', 'HTTX/1') : text),
    ['http-syntax'],
  ],
  ['no answer', (text, request) => (request.includes('LogStats') ? '' : text), ['answers']],
  [
    'a stream for everybody',
    (text, request) => (request.includes('Mozilla') ? 'HTTP/1.0 200 OK\r\n\r\n$E\u0004\0\0\0\0\0' : text),
    ['agent-required'],
  ],
];

/** Faults of a push, and rules that each of them breaks. */
export const PUSH_FAULTS: ReadonlyArray<readonly [fault: string, rules: readonly string[]]> = [
  ['lose=15%', ['objects-whole']],
  ['duplicate=15%', ['packets-once']],
  ['reorder=15%', ['objects-whole']],
  ['delay=15%:300ms', ['objects-whole', 'send-times-rise']],
  ['corrupt=15%', ['objects-unchanged']],
  ['jump=20:10s', ['send-times-steady']],
  ['jump=20:-10s', ['send-times-rise']],
  ['header=20', ['header-needed']],
  ['lengths=15%', ['framing']],
  ['change=15', ['order', 'change-reason', 'header-whole']],
  ['no-end', ['end']],
  ['cut-header=20', ['header-whole']],
  ['cut=20', ['end']],
  ['cut=30kB', ['end', 'whole-packets']],
  ['stall=20', ['no-silence']],
  ['slow=16k', ['keeps-pace']],
];

/** Changes of what a good encoder sends, and the rules that they break. */
export const PUSH_CHANGES: ReadonlyArray<readonly [what: string, rewrite: Rewrite, rules: readonly string[]]> = [
  ['another agent', replace(/User-Agent: WMEncoder[^\r]*/g, 'User-Agent: Lavf/60.3'), ['user-agent']],
  ['no Host', replace(/Host: [^\r]*\r\n/g, ''), ['host']],
  ['a Server header', replace(/\r\nHost:/g, '\r\nServer: Rex/9.0\r\nHost:'), ['response-headers']],
  ['no length', replace(/Content-Length: 0\r\n/g, ''), ['not-chunked']],
  ['another type', replace(/x-wms-pushsetup/g, 'x-wms-pushSETUPS'), ['request-types', 'setup-first']],
  ['no PushSetup cookie', replace(/Cookie: push-id=0\r\n/g, ''), ['setup-cookie']],
  ['another push-id', replace(/Cookie: push-id=[1-9a-zA-Z][^\r]*/g, 'Cookie: push-id=7'), ['start-cookie']],
  [
    'a short request',
    replace(/Content-Length: 2147483647/g, 'Content-Length: 900'),
    ['start-length', 'start-length-unknown'],
  ],
  ['B bits', replace(/\$D/g, '\u00a4D'), ['framing']],
  ['no header', replace(/\$H/g, '$D'), ['header-first']],
  [
    'a long $E',
    (text) => (text.endsWith('$E\u0004\0\0\0\0\0') ? `${text.slice(0, -8)}$E\u0005\0\0\0\0\0\0` : text),
    ['end-form'],
  ],
  ['no HTTP', replace(/HTTP\/1\.1/g, 'HTTX/1.1'), ['http-syntax']],
];

/** Changes of what a good player sends, and the rules that they break. */
export const PLAYER_CHANGES: ReadonlyArray<readonly [what: string, rewrite: Rewrite, rules: readonly string[]]> = [
  ['another agent', replace(/User-Agent: NSPlayer[^\r]*/g, 'User-Agent: NSPlayer'), ['user-agent']],
  ['no Host', (text) => text.replace(/Host: [^\r]*\r\n/g, '').replace(/HTTP\/1\.0\r/, 'HTTP/1.1\r'), ['host']],
  ['no no-cache', replace(/Pragma: no-cache,?/g, 'Pragma: x-'), ['no-cache']],
  ['no rate', replace(/rate=1\.000,?/g, ''), ['play-tokens']],
  ['a high rate', replace(/rate=1\.000/g, 'rate=9'), ['token-values']],
  [
    'one stream',
    replace(/stream-switch-entry=(\S+)[^\r]*/g, 'stream-switch-entry=$1'),
    ['streams-listed', 'stream-switch-count'],
  ],
  ['commas', replace(/(stream-switch-entry=\S+) /g, '$1,'), ['tokens-alone']],
  ['more blanks', replace(/(stream-switch-entry=\S+) /g, '$1  '), ['stream-switch-form']],
  ['another client-id', replace(/client-id=\d+/g, 'client-id=77'), ['client-id']],
  ['a GUID without braces', replace(/xClientGUID=\{([^}]*)\}/g, 'xClientGUID=$1'), ['client-guid']],
  ['a token of responses', replace(/\r\nPragma:/g, '\r\nPragma: timeout=60000\r\nPragma:'), ['response-tokens']],
  ['a feature of its own', replace(/Supported: /g, 'Supported: com.example.fly, '), ['supported']],
  [
    'the pipeline with HTTP/1.0',
    replace(/\r\nPragma:/g, '\r\nPragma: pipeline-experiment=1\r\nPragma:'),
    ['pipeline-version'],
  ],
  ['an odd log', replace(/<XML>/g, '<XLM>'), ['log-form']],
  ['no log', replace(/POST /g, 'PUT '), ['log-sent', 'request-types', 'entry-followed']],
  [
    'no Describe',
    replace(/^GET (\S+) HTTP\/1\.[01]\r\n(?![\s\S]*xPlayStrm)/g, 'PUT $1 HTTP/1.0\r\n'),
    ['describe-first'],
  ],
  ['no HTTP', replace(/HTTP\/1\.[01]/g, 'HTTX/1.1'), ['http-syntax']],
];

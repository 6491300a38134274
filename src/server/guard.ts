/** Who may ask: checks of Host, Origin and token, and the headers every answer carries. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { hostname } from 'node:os';
import { isIP } from 'node:net';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';

/** Scripts, styles and connections only from the server itself; WebAssembly may compile. */
const POLICY = {
  'default-src': "'none'",
  'script-src': "'self' 'wasm-unsafe-eval'",
  'style-src': "'self'",
  'img-src': "'self' blob: data:",
  'connect-src': "'self'",
  'worker-src': "'self' blob:",
  'font-src': "'self'",
  'media-src': "'self' blob:",
  'manifest-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
} as const;

const written = (policy: Readonly<Record<string, string>>): string =>
  Object.entries(policy)
    .map(([directive, sources]) => `${directive} ${sources}`)
    .join('; ');

/** The policy of every answer; nothing may frame the page either. */
export const CONTENT_SECURITY_POLICY = `${written(POLICY)}; frame-ancestors 'none'`;

/**
 * The policy of a site of files, which stands in the page itself: it fetches models from the hub, which sends it on to
 * where it keeps large files; against frames only a header helps.
 */
export function sitePolicy(hub: string): string {
  return written({ ...POLICY, 'connect-src': `'self' blob: data: ${new URL(hub).origin} https:` });
}

/** Headers of every answer. Isolation from other origins is also what WebAssembly threads need. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Permissions-Policy': 'camera=(self), microphone=(), geolocation=()',
};

export function securityHeaders(): MiddlewareHandler {
  return async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) c.res.headers.set(name, value);
  };
}

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '::1']);

export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** The host of a Host header without its port, or undefined when it is malformed. */
function hostOf(header: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::\d{1,5})?$/i.exec(header ?? '');
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

/**
 * Refuses requests for another host (a foreign name that resolves to this machine would otherwise make its page ours) and
 * requests that another origin's page sent. Bound to loopback only loopback names are right; bound elsewhere any address,
 * this machine's name and the name bound to are.
 */
export function sameOrigin(bound: string): MiddlewareHandler {
  const names = new Set([...LOOPBACK, bound.toLowerCase(), ...(isLoopback(bound) ? [] : [hostname().toLowerCase()])]);
  return async (c, next) => {
    const host = hostOf(c.req.header('host'));
    const known = host !== undefined && (names.has(host) || (!isLoopback(bound) && isIP(host) !== 0));
    if (!known) return c.json({ error: 'this server does not answer for that host' }, 403);
    const origin = c.req.header('origin');
    const site = c.req.header('sec-fetch-site');
    const foreign =
      (origin !== undefined && origin.toLowerCase() !== `http://${c.req.header('host')!.toLowerCase()}`) ||
      // A link to the page may come from anywhere, to be shown in a window of its own; frames and data may not.
      ((site === 'cross-site' || site === 'same-site') &&
        !(c.req.method === 'GET' && c.req.path === '/' && c.req.header('sec-fetch-dest') === 'document'));
    if (foreign) return c.json({ error: 'requests from other origins are refused' }, 403);
    return next();
  };
}

/** Cookies are shared by all ports of a host: each studio has one of its own. */
const cookieOf = (c: Context): string => `onnxray_token_${/:(\d+)$/.exec(c.req.header('host') ?? '')?.[1] ?? '80'}`;

/** What a person sees who opens the page without its token. */
const NO_TOKEN = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>onnxray studio</title>
<p>This studio asks for its token: open the whole address that <code>onnxray studio</code> printed.</p>
<p lang="zh">此页面需要令牌：请打开 <code>onnxray studio</code> 输出的完整地址。</p>
</html>
`;

/**
 * Asks for the token: as `Authorization: Bearer`, as the cookie, or once in the address (`/?token=`), which is turned into
 * the cookie and taken out of the address.
 */
export function requireToken(token: string): MiddlewareHandler {
  return async (c, next) => {
    const given = c.req.query('token');
    if (given !== undefined && c.req.path === '/' && sameToken(given, token)) {
      setCookie(c, cookieOf(c), token, { httpOnly: true, sameSite: 'Strict', path: '/' });
      return c.redirect('/', 303);
    }
    const bearer = /^Bearer (.+)$/.exec(c.req.header('authorization') ?? '')?.[1];
    const shown = bearer ?? getCookie(c, cookieOf(c));
    if (shown === undefined || !sameToken(shown, token)) {
      if (!c.req.path.startsWith('/api/') && /\btext\/html\b/.test(c.req.header('accept') ?? ''))
        return c.html(NO_TOKEN, 401);
      return c.json({ error: 'open the address that onnxray studio printed: it holds the token' }, 401);
    }
    return next();
  };
}

/** Compares digests, so that neither content nor length shows in the time it takes. */
function sameToken(given: string, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

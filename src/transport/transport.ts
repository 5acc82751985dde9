/**
 * The transport contract: how a token travels between server and client.
 *
 * A transport reads strings from a request and says what to write to a response, as data. It knows nothing of stores,
 * keys or sessions. Several definitions may share one request: a transport only touches what carries its own name.
 *
 * @module
 */

/** What a transport may see of a request. Adapters make one; its members are asked for only when needed. */
export interface RequestView {
  /** A header by its lower-case name; several lines of one header are joined as Node does (`; ` for Cookie, else `, `). */
  header(name: string): string | undefined;
  readonly method: string;
  /** The request target: path and query, or an absolute URL. */
  readonly url: string;
  /** Whether this request came over TLS as far as the adapter itself can tell, proxies left aside. */
  readonly secure: boolean;
  /** The address of the peer of this connection, where the adapter knows it. */
  readonly peer: string | undefined;
  /**
   * The SHA-256 of the certificate that the client of this TLS connection proved to hold, as 64 small hexadecimal digits;
   * undefined without one, and for one that the server did not verify.
   */
  readonly certificate?: string | undefined;
}

/** One change to the response headers. */
export interface HeaderEdit {
  /** The header's name as it is to be written. */
  readonly name: string;
  readonly value: string;
  /** `set` replaces the header; `append` adds a line; `merge` adds the value to a comma-separated list if it is not there. */
  readonly mode: "set" | "append" | "merge";
}

/** What a transport is told when a definition takes it into use. */
export interface TransportContext {
  /** The definition's name. */
  readonly name: string;
  /** Whether the token contains the session itself (so that it may be large), and not just an id. */
  readonly byValue: boolean;
}

/** A token on its way out. */
export interface OutgoingToken {
  readonly token: string;
  /** When the session ends for good, in milliseconds since the epoch; undefined when it has no such end. */
  readonly endsAt: number | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** How long the client is to keep it, in whole seconds, where the transport can say so; undefined: as is usual for it. */
  readonly lifetime?: number | undefined;
}

/** A transport in the service of one definition. */
export interface BoundTransport {
  /** The names under which this transport writes to a client: two definitions of one app must not share one. */
  readonly names: readonly string[];
  /** The request header that decides what is read, for `Vary`; undefined when none does. */
  readonly vary: string | undefined;
  /** Whether a changed token may be sent on any response, unasked: true for cookies, which the browser stores by itself. */
  readonly renews: boolean;

  /**
   * The tokens that the request carries under our name, distinct, in their order; at most {@link MAX_CANDIDATES} + 1, so
   * that "too many" shows. Never throws, whatever the client sent. Values are returned as they came: what a token may
   * look like is the business of others.
   */
  read(request: RequestView): readonly string[];

  /**
   * Whether a request without a token shows that its client keeps tokens this way, so that an answer with a new one goes this
   * way too where a definition has several transports.
   */
  asked?(request: RequestView): boolean;

  /**
   * Throws a `SessionError` that says what to set when a token cannot be sent on the answer to this request. Called before
   * anything is written to a store.
   */
  check(request: RequestView): void;

  /** The edits that hand the token to the client. Throws `SessionTooLargeError` when it does not fit. */
  send(request: RequestView, outgoing: OutgoingToken): readonly HeaderEdit[];

  /** The edits that make the client forget its token. */
  clear(request: RequestView): readonly HeaderEdit[];

  /** Edits that every response has to a request that this transport serves, whatever became of its session. */
  readonly always?: readonly HeaderEdit[];

  /**
   * Whether `read` tells who the client is, as verified by others, and not a token: there is nothing to hand out then, and
   * the session's id and secret follow from what it tells.
   */
  readonly identifies?: boolean;

  /** A request target without its tokens, for transports that put them there; the same when it has none. */
  strip?(target: string): string;

  /** A link that carries the token, if it stays on this site; else the link as it was. */
  link?(request: RequestView, href: string, token: string): string;

  /** Another, separate place for a small token beside this one (the idle clock of a sealed session), where there is one. */
  beside?(suffix: string): BoundTransport;

  /** The policy as data, for `describe()`. */
  describe(): Readonly<Record<string, unknown>>;
}

/** How a token travels: `cookie()`, `header()`, … An app may write its own. */
export interface Transport {
  /** What it is, for messages: `"cookie"`, `"header"`, … */
  readonly kind: string;
  /** Takes the transport into the service of a definition. Throws a `TypeError` for options that cannot work. */
  bind(context: TransportContext): BoundTransport;
}

/** A client, as a response leaves it. */
export interface RoutedClient {
  readonly view: RequestView;
  /** The id of its session; undefined when it has none. */
  readonly session: string | undefined;
  /** Whether it is told to forget its token. */
  readonly forgets: boolean;
  readonly outgoing: Omit<OutgoingToken, "token">;
}

/** What binds clients to one server of a fleet, in the service of one definition. */
export interface BoundSticky {
  /** See `BoundTransport.names`. */
  readonly names: readonly string[];
  /** The edits that bind a client, or let it go. For responses that can carry a cookie which nobody asked for. */
  edits(client: RoutedClient): readonly HeaderEdit[];
  describe(): Readonly<Record<string, unknown>>;
}

/** How many same-named values of one request are tried (P5). */
export const MAX_CANDIDATES = 4;

/** Whether a token could be sent on the answer to a request. */
export function couldSend(transport: BoundTransport, request: RequestView): boolean {
  try {
    transport.check(request);
    return true;
  } catch {
    return false;
  }
}

import type { Request, Response } from "express";
import { figuresOf, type RoomContext } from "./room-view.ts";

/** What the page hears as it happens: server-sent events. */
export interface Feed {
  follow(req: Request, res: Response): void;
  changed(): void;
  close(): void;
}

const EVERY_MS = 1000;
/** How many seconds are told again: a timer that is late leaves one out. */
const LATE = 3;

/** Tells of every second, every state and every entry of the journal. Who comes later is told the last minute first. */
export function createFeed(context: RoomContext): Feed {
  const { meter, journal } = context;
  const followers = new Set<Response>();

  const figures = (): string => event("figures", figuresOf(context));
  const told = (text: string): void => {
    for (const follower of followers) follower.write(text);
  };
  const timer = setInterval(() => {
    if (followers.size > 0) told(event("seconds", meter.seconds().slice(-LATE)) + figures());
  }, EVERY_MS);
  journal.listen((entry) => told(event("entries", [entry]) + figures()));

  return {
    follow(req, res) {
      res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
      res.write(event("seconds", meter.seconds()) + event("entries", journal.entries) + figures());
      followers.add(res);
      req.once("close", () => followers.delete(res));
    },
    changed: () => told(figures()),
    close: () => clearInterval(timer),
  };
}

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

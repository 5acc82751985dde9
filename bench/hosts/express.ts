/**
 * Express 5.
 *
 * @module
 */
import express, { type Express, type Request, type Response } from "express";
import { PATHS } from "../data.ts";
import { handlerOf, type Hosted, type Listener } from "../host.ts";

/** The app of a subject. */
export function expressListener({ handlers, install }: Hosted<Express, Request, Response>): Listener {
  const app = express();
  app.disable("x-powered-by");
  install?.(app);
  for (const path of PATHS) {
    const handler = handlerOf(handlers, path);
    app.get(`/${path}`, (req, res) => {
      const told = handler(req, res);
      if (typeof told !== "string") return told.then((text) => void res.end(text));
      res.end(told);
      return undefined;
    });
  }
  return app;
}

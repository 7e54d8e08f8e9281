// Its addresses are settings. It asks for fields of scopes that it did not ask for: the simulator says so.
import express from "express";
import passport from "passport";
import { Strategy } from "passport-tiktok-auth";
import { allow, key, secret, tell } from "./browser.mjs";

const simulator = process.env.SIMULATOR;
const server = express();
const listening = server.listen(0, "127.0.0.1");
await new Promise((resolve) => listening.once("listening", resolve));
const own = `http://127.0.0.1:${listening.address().port}`;
passport.use(
  new Strategy(
    {
      clientID: key,
      clientSecret: secret,
      scope: ["user.info.basic"],
      callbackURL: `${own}/callback`,
      authorizationURL: `${simulator}/v2/auth/authorize/`,
      tokenURL: `${simulator}/v2/oauth/token/`,
      profileURL: `${simulator}/v2/user/info/`,
      state: false,
    },
    (accessToken, refreshToken, profile, done) => done(null, profile),
  ),
);
server.use(passport.initialize());
server.get("/login", passport.authenticate("tiktok", { session: false, state: "s" }));
server.get("/callback", passport.authenticate("tiktok", { session: false }), (request, response) =>
  response.json(request.user),
);
server.use((error, request, response, next) => response.status(500).json({ error: String(error) }));
const started = await fetch(`${own}/login`, { redirect: "manual" });
const ended = await fetch(await allow(started.headers.get("location")));
tell({ status: ended.status, said: await ended.text() });
listening.close();

// A person with a browser: follows the app to the simulator's page, allows, and returns to the app.
import { divert } from "./to-simulator.mjs";

export const key = "simulated-client-key";
export const secret = "simulated-client-secret";
export const app = "http://localhost:3000";

export class Browser {
  cookies = new Map();

  constructor(handle) {
    this.handle = handle; // takes a Request for the app, returns its Response
  }

  async ask(path, init = {}) {
    const headers = new Headers(init.headers);
    headers.set("cookie", [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; "));
    headers.set("origin", app);
    const answer = await this.handle(new Request(new URL(path, app), { ...init, headers, redirect: "manual" }));
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = line.split(";")[0].split(/=(.*)/s);
      this.cookies.set(name, value);
    }
    return answer;
  }
}

export const allow = async (address, person = "emoji") => {
  const url = divert(address);
  const asked = (url.searchParams.get("scope") ?? "").split(",");
  const form = new URLSearchParams([["person", person], ["allow", "1"], ...asked.map((scope) => ["scope", scope])]);
  const answer = await fetch(url, { method: "POST", body: form, redirect: "manual" });
  if (answer.status !== 302) throw new Error(`the simulator refuses: ${await answer.text()}`);
  return answer.headers.get("location");
};

export const tell = (facts) => console.log(JSON.stringify(facts));

// Sends what is meant for TikTok to the simulator: node --import ./to-simulator.mjs app.mjs
// For libraries that have TikTok's addresses built in. SIMULATOR is the simulator's address.
const simulator = new URL(process.env.SIMULATOR);
const fetch = globalThis.fetch;

export const divert = (address) => {
  const url = new URL(address);
  if (url.hostname !== "www.tiktok.com" && url.hostname !== "open.tiktokapis.com") return url;
  return new URL(url.pathname + url.search, simulator);
};

globalThis.fetch = (input, init) =>
  input instanceof Request ? fetch(new Request(divert(input.url), input), init) : fetch(divert(input), init);

// A built studio at work on a directory that is thrown away, with somebody
// signed in and an API key.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** until asks again until the answer is true; it gives up after 20 seconds. */
export async function until(what, ask) {
  for (const end = Date.now() + 20_000; Date.now() < end; await pause(20)) {
    if (await ask()) return;
  }
  throw new Error(`${what} did not happen in time`);
}

export async function start(binary) {
  const dir = mkdtempSync(join(tmpdir(), "studio-sdk-"));
  const address = `127.0.0.1:${await freePort()}`;
  const program = spawn(binary, ["serve", "--addr", address, "--data-dir", dir], {
    env: { ...process.env, STUDIO_LIMIT_API: "off", STUDIO_LIMIT_ANONYMOUS: "off", STUDIO_LIMIT_AI: "off" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const gone = new Promise((resolve) => program.once("exit", resolve));
  let code = "";
  createInterface(program.stderr).on("line", (line) => (code ||= line.replace(/time=\S+/, "").match(/\b\d{6}\b/)?.[0] ?? ""));
  const studio = {
    url: `http://${address}`,
    token: "",
    key: "",
    /** api calls the studio's own API. */
    async api(method, path, body) {
      const answer = await fetch(`${this.url}/api/v1${path}`, {
        method,
        headers: { "Content-Type": "application/json", ...(this.token && { Authorization: `Bearer ${this.token}` }) },
        body: body && JSON.stringify(body),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`);
      return text && JSON.parse(text);
    },
    async stop() {
      program.kill("SIGTERM");
      await gone;
      rmSync(dir, { recursive: true, force: true });
    },
  };
  await until("the start", () => fetch(`${studio.url}/readyz`).then((a) => a.ok, () => false));
  await studio.api("POST", "/auth/request-otp", { email: "you@example.com" });
  await until("the letter with the code", () => code);
  studio.token = (await studio.api("POST", "/auth/verify-otp", { email: "you@example.com", code })).access_token;
  studio.key = (await studio.api("POST", "/auth/api-keys", { name: "sdk", scopes: ["execute"] })).key;
  return studio;
}

// Tries a built studio with the official clients of OpenAI and Anthropic: the
// list of models, answers at once and streamed, tools of the caller, failures,
// and hanging up. It prints a line for each and fails when one does.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { start, until } from "./studio.mjs";

const studio = await start(process.argv[2] ?? "bin/agentstudio");
const openai = new OpenAI({ baseURL: `${studio.url}/v1`, apiKey: studio.key });
const anthropic = new Anthropic({ baseURL: studio.url, apiKey: studio.key });

let failed = 0;
let passed = 0;
async function check(name, what) {
  try {
    await what();
    passed++;
    console.log(`ok   ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${name}: ${error.stack}`);
  }
}

const user = (content) => [{ role: "user", content }];
const all = async (pages) => {
  const out = [];
  for await (const item of pages) out.push(item);
  return out;
};
const cities = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

async function prepare() {
  const agent = (name, script, more) => studio.api("POST", "/agents", { name, model: "demo/scripted", script, ...more });
  await agent("Adds", [{ text: "Let me see.", tool_calls: [{ name: "calculator", arguments: { expression: "2+3" } }] }, { when: "5", text: "It is five." }], { tools: ["calculator"] });
  await agent("Travels", [{ tool_calls: [{ name: "weather", arguments: { city: "Rome" } }] }, { when: "sunny", text: "Go to Rome." }]);
  await agent("Stops", [{ tool_calls: [{ name: "calculator", arguments: { expression: "1" } }] }], { tools: ["calculator"], limits: { max_steps: 1 } });
  await agent("Shapes", undefined, {});
  const flow = async (name, config) => {
    const { id } = await studio.api("POST", "/workflows", {
      name,
      nodes: [{ id: "in", kind: "chat-trigger" }, { id: "answer", kind: "agent", config: { model: "demo/scripted", prompt: "{{ trigger.message }}", ...config } }],
      connections: [{ source: "in", target: "answer" }],
    });
    await studio.api("PATCH", `/workflows/${id}/status`, { status: "published" });
  };
  await flow("Answers", { script: [{ text: "Here you are." }] });
  await flow("Slow", { tools: ["calculator"], script: [{ text: "One moment.", tool_calls: [{ name: "calculator", arguments: { expression: "1" } }] }, { text: "Done.", delay_ms: 60000 }] });
}

/** hangsUp begins a stream of the slow workflow, aborts it and sees it cancelled. */
async function hangsUp(begin) {
  const control = new AbortController();
  await assert.rejects(async () => {
    for await (const piece of await begin(control.signal)) {
      if (JSON.stringify(piece).includes("moment")) control.abort();
    }
    if (control.signal.aborted) throw new Error("aborted"); // one client ends, the other throws
  });
  await until("the end of the execution", async () => {
    const { items } = await studio.api("GET", "/executions?limit=1");
    return items[0].status === "cancelled";
  });
}

async function tryOpenAI() {
  await check("openai: lists models", async () => {
    const ids = (await all(openai.models.list())).map((m) => m.id);
    assert.deepEqual(ids, ["agent/adds", "agent/travels", "agent/stops", "agent/shapes", "workflow/answers", "workflow/slow"]);
    assert.equal((await openai.models.retrieve("workflow/answers")).id, "workflow/answers");
  });
  await check("openai: answers", async () => {
    const a = await openai.chat.completions.create({ model: "agent/adds", messages: user("add") });
    assert.equal(a.choices[0].message.content, "Let me see.\n\nIt is five.");
    assert.equal(a.choices[0].finish_reason, "stop");
    assert.equal(a.usage.total_tokens, a.usage.prompt_tokens + a.usage.completion_tokens);
    const w = await openai.chat.completions.create({ model: "workflow/answers", messages: user("hi") });
    assert.equal(w.choices[0].message.content, "Here you are.");
  });
  await check("openai: streams", async () => {
    const stream = openai.chat.completions.stream({ model: "agent/adds", messages: user("add"), stream_options: { include_usage: true } });
    let pieces = 0;
    stream.on("content", () => pieces++);
    const a = await stream.finalChatCompletion();
    assert.equal(a.choices[0].message.content, "Let me see.\n\nIt is five.");
    assert.ok(pieces > 3 && a.usage.completion_tokens > 0);
  });
  await check("openai: runs the caller's tools", async () => {
    const asked = [];
    const tool = { type: "function", function: { name: "weather", parameters: cities, parse: JSON.parse, function: ({ city }) => asked.push(city) && "sunny" } };
    for (const stream of [false, true]) {
      const runner = openai.chat.completions.runTools({ model: "agent/travels", messages: user("where to?"), tools: [tool], stream });
      assert.equal(await runner.finalContent(), "Go to Rome.");
    }
    assert.deepEqual(asked, ["Rome", "Rome"]);
  });
  await check("openai: answers in a given shape", async () => {
    const format = { type: "json_schema", json_schema: { name: "city", schema: cities } };
    const a = await openai.chat.completions.parse({ model: "agent/shapes", messages: user("x"), response_format: format });
    assert.deepEqual(a.choices[0].message.parsed, { city: "demo" });
  });
  await check("openai: understands failures", async () => {
    const ask = (more) => openai.chat.completions.create({ model: "agent/adds", messages: user("x"), ...more });
    await assert.rejects(ask({ model: "agent/nobody" }), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
    await assert.rejects(ask({ n: 2 }), (e) => e instanceof OpenAI.BadRequestError && e.param === "n");
    await assert.rejects(ask({ model: "agent/stops" }), (e) => e.status === 402 && e.code === "step_limit");
    await assert.rejects(new OpenAI({ baseURL: `${studio.url}/v1`, apiKey: "wrong" }).models.list(), OpenAI.AuthenticationError);
  });
  await check("openai: hangs up", () => hangsUp((signal) => openai.chat.completions.create({ model: "workflow/slow", messages: user("x"), stream: true }, { signal })));
}

async function tryAnthropic() {
  const ask = (more) => ({ model: "agent/adds", max_tokens: 100, messages: user("add"), ...more });
  const tool = { name: "weather", input_schema: cities };
  await check("anthropic: lists models", async () => {
    const names = (await all(anthropic.models.list({ limit: 2 }))).map((m) => m.display_name);
    assert.deepEqual(names, ["Adds", "Travels", "Stops", "Shapes", "Answers", "Slow"]);
    assert.equal((await anthropic.models.retrieve("agent/adds")).id, "agent/adds");
  });
  await check("anthropic: answers", async () => {
    const a = await anthropic.messages.create(ask());
    assert.deepEqual(a.content.map((b) => b.text), ["Let me see.\n\nIt is five."]);
    assert.equal(a.stop_reason, "end_turn");
    assert.ok(a.usage.input_tokens > 0 && a.usage.output_tokens > 0);
  });
  await check("anthropic: streams", async () => {
    const stream = anthropic.messages.stream(ask());
    let pieces = 0;
    stream.on("text", () => pieces++);
    const a = await stream.finalMessage();
    assert.equal(a.content[0].text, "Let me see.\n\nIt is five.");
    assert.ok(pieces > 3 && a.stop_reason === "end_turn" && a.usage.output_tokens > 0);
  });
  await check("anthropic: goes on with results of the caller's tools", async () => {
    const messages = user("where to?");
    const called = await anthropic.messages.stream(ask({ model: "agent/travels", messages, tools: [tool] })).finalMessage();
    assert.equal(called.stop_reason, "tool_use");
    const call = called.content.find((b) => b.type === "tool_use");
    assert.deepEqual(call.input, { city: "Rome" });
    messages.push({ role: "assistant", content: called.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "sunny" }] });
    const a = await anthropic.messages.create(ask({ model: "agent/travels", messages, tools: [tool] }));
    assert.equal(a.content[0].text, "Go to Rome.");
  });
  await check("anthropic: understands failures", async () => {
    await assert.rejects(anthropic.messages.create(ask({ model: "agent/nobody" })), (e) => e instanceof Anthropic.NotFoundError && e.error.error.type === "not_found_error");
    await assert.rejects(anthropic.messages.create(ask({ stop_sequences: ["x"] })), Anthropic.BadRequestError);
    await assert.rejects(anthropic.messages.create(ask({ model: "agent/stops" })), (e) => e.status === 402 && e.error.error.type === "billing_error");
    await assert.rejects(new Anthropic({ baseURL: studio.url, apiKey: "wrong" }).messages.create(ask()), Anthropic.AuthenticationError);
  });
  await check("anthropic: hangs up", () => hangsUp((signal) => anthropic.messages.create(ask({ model: "workflow/slow", stream: true }), { signal })));
}

try {
  await prepare();
  await tryOpenAI();
  await tryAnthropic();
} finally {
  await studio.stop();
}
console.log(failed ? `${failed} of ${failed + passed} failed` : `all ${passed} passed`);
process.exitCode = failed ? 1 : 0;

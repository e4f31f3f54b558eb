// The whole walk with fetch alone: node walk.mjs URL KEY series.csv
// Every address comes from /openapi.json, by operation id.
import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { createHash, randomUUID } from "node:crypto";

const [url, key, file] = process.argv.slice(2);
const document = await (await fetch(`${url}/openapi.json`)).json();
const operations = Object.fromEntries(
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation.operationId)
      .map(([method, operation]) => [operation.operationId, { method: method.toUpperCase(), path }]),
  ),
);

async function call(id, { path = {}, query = {}, json, form, headers = {} } = {}) {
  const operation = operations[id];
  if (!operation) throw new Error(`${id} is not in openapi.json`);
  const place = operation.path.replace(/{(\w+)}/g, (_, name) => encodeURIComponent(path[name]));
  const answer = await fetch(`${url}${place}?${new URLSearchParams(query)}`, {
    method: operation.method,
    headers: {
      Authorization: `Bearer ${key}`,
      ...(json && { "Content-Type": "application/json" }),
      ...(operation.method === "POST" && { "Idempotency-Key": randomUUID() }),
      ...headers,
    },
    body: json ? JSON.stringify(json) : form,
  });
  if (!answer.ok && answer.status !== 304) {
    const problem = await answer.json();
    throw new Error(`${id}: ${problem.code}: ${problem.detail} ${problem.remedy}`);
  }
  return answer;
}

const body = async (...words) => (await call(...words)).json();

async function finished(id, path) {
  for (;;) {
    const document = await body(id, { path, query: { wait: 20 } });
    if (["succeeded", "failed", "cancelled"].includes(document.status)) {
      if (document.status !== "succeeded") throw new Error(JSON.stringify(document.error));
      return document;
    }
  }
}

async function download(id, options, name) {
  const answer = await call(id, options);
  const bytes = Buffer.from(await answer.arrayBuffer());
  const told = answer.headers.get("repr-digest").match(/sha-256=:(.*):/)[1];
  if (createHash("sha256").update(bytes).digest("base64") !== told) throw new Error(`${name} was damaged on its way`);
  await writeFile(name, bytes);
  console.log(`${name}: ${bytes.length} bytes`);
}

const form = new FormData();
form.append("file", new Blob([await readFile(file)]), basename(file));
form.append("dt", "0.05");
const dataset = await body("datasets_create", { form });
console.log(`${dataset.id}: ${dataset.rows} rows of ${dataset.names}`);

const asked = await body("analyses_create", { json: { dataset_id: dataset.id } });
const { result } = await finished("analyses_get", { analysis_id: asked.id });
console.log(`${result.verdict}, tau ${result.tau}`);

const spec = { training: { updates: 3000, validations: 5, restarts: 0 } };
const posted = await body("jobs_create", { json: { dataset_id: dataset.id, spec, labels: { walk: "node" } } });
const job = await finished("jobs_get", { job_id: posted.id });
console.log(`${job.id}: ${job.status}, D_stsp ${job.scores.d_stsp.value}`);

const again = await call("jobs_get", { path: { job_id: job.id } });
const unchanged = await call("jobs_get", {
  path: { job_id: job.id },
  headers: { "If-None-Match": again.headers.get("etag") },
});
if (unchanged.status !== 304) throw new Error("an unchanged job was sent again");

const path = { model_id: job.model_id };
await download("models_content", { path }, "model.safetensors");
await download("models_content", { path, query: { format: "onnx" } }, "model.onnx");
await download("jobs_archive", { path: { job_id: job.id } }, "archive.zip");
const run = { path: { trajectory_id: job.trajectory_id }, query: { format: "csv" } };
await download("trajectories_content", run, "trajectory.csv");

const context = (await readFile(file, "utf8")).trim().split("\n").slice(-20).map((row) => row.split(",").map(Number));
const told = await body("models_forecast", { path, json: { context, horizon: 10 } });
console.log(`forecast of ${told.rows.length} rows`);

await call("datasets_delete", { path: { dataset_id: dataset.id }, query: { cascade: true } });
console.log("done");

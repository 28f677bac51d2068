// A tour of the API with the client that its document makes: `schema.d.ts` is generated from `admin/openapi.json` with
// openapi-typescript. The tests compile it; a name that is gone or a field of another type does not pass.

import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema";

type Zone = components["schemas"]["Zone"];
type Problem = components["schemas"]["Problem"];

/** A refusal, with what it says. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(`${problem.code}: ${problem.detail}`);
  }
}

/** The API of a server, asked with a token. */
export function connect(server: string, token: string) {
  const client = createClient<paths>({ baseUrl: server });
  const signed: Middleware = {
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${token}`);
      return request;
    },
  };
  client.use(signed);
  return client;
}

type Client = ReturnType<typeof connect>;

/** What was answered, or the refusal as an error. */
function well<T>(answer: { data?: T; error?: Problem }): T {
  if (answer.error) throw new Refused(answer.error);
  if (answer.data === undefined) throw new Error("an answer without a body");
  return answer.data;
}

/** Who am I, and may I do this? */
export async function may(client: Client, permission: string): Promise<boolean> {
  const me = well(await client.GET("/api/v1/me"));
  return me.permissions.includes(permission);
}

/** Every zone, page by page. */
export async function* zones(client: Client): AsyncGenerator<Zone> {
  let after: string | null | undefined;
  do {
    const query = after ? { limit: 100, after } : { limit: 100 };
    const page = well(await client.GET("/api/v1/zones", { params: { query } }));
    yield* page.items;
    after = page.next;
  } while (after);
}

/** Makes a zone once, however often the network makes us ask. */
export async function make(client: Client, zone: Zone): Promise<Zone> {
  const header = { "Idempotency-Key": crypto.randomUUID() };
  return well(await client.POST("/api/v1/zones", { params: { header }, body: zone }));
}

/** Changes a capacity; tries again with what is there now when somebody was faster. */
export async function setCapacity(client: Client, name: string, capacity: number): Promise<Zone> {
  const path = { name };
  for (;;) {
    const read = await client.GET("/api/v1/zones/{name}", { params: { path } });
    const zone = well(read);
    const version = read.response.headers.get("ETag") ?? "*";
    const header = { "If-Match": version };
    const written = await client.PUT("/api/v1/zones/{name}", {
      params: { path, header },
      body: { ...zone, capacity },
    });
    if (written.response.status !== 412) return well(written);
  }
}

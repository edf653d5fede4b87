import { createServer } from "node:http";
import { greeting } from "./greeting.mjs";

const server = createServer((request, response) => {
  const { searchParams } = new URL(request.url, "http://server");
  response.setHeader("content-type", "text/plain");
  response.end(greeting(searchParams.get("name")));
});
server.listen(3000, () => console.log(`listening, user ${process.getuid()}`));
process.on("SIGTERM", () => server.close(() => process.exit(0)));

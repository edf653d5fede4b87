// Testcontainers for Node.js against the engine at DOCKER_HOST: all that its containers are asked to do and wait for. Prints ok at the end.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { GenericContainer, Network, Wait } from 'testcontainers';

const folder = process.argv[2];
const text = async (stream, end) => { let read = ''; for await (const piece of stream) { read += piece; if (end && read.includes(end)) break; } return read; };
const sleeping = () => new GenericContainer('alpine:latest').withCommand(['sleep', '1000']);
// Of the busyboxes that images are made of, one has a web server, the other a netcat that serves again and again.
const answer = "printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\nConnection: close\\r\\n\\r\\nhello\\n'";

const network = await new Network().start();
const web = await new GenericContainer('alpine:latest')
  .withCommand(['sh', '-c', `echo hello > /tmp/index.html; echo starting; busybox httpd -f -p 8080 -h /tmp || exec nc -lk -p 8080 -e sh -c "read x; ${answer}"`])
  .withExposedPorts(8080).withNetwork(network).withNetworkAliases('web')
  .withEnvironment({ STAGE: 'test' }).withLabels({ sdk: 'testcontainers' }).withTmpFs({ '/scratch': 'rw,noexec,size=1m' }).withUlimits({ nofile: { soft: 1000, hard: 1000 } })
  .withCopyContentToContainer([{ content: 'copied\n', target: '/etc/copied', mode: 0o600 }]).withExtraHosts([{ host: 'other', ipAddress: '192.0.2.7' }])
  .withWaitStrategy(Wait.forAll([Wait.forListeningPorts(), Wait.forLogMessage('starting'), Wait.forHttp('/', 8080).forStatusCode(200)]))
  .start();
const page = await fetch(`http://${web.getHost()}:${web.getMappedPort(8080)}/`);
assert.equal(await page.text(), 'hello\n');
const executed = await web.exec(['sh', '-c', 'stat -c %a /etc/copied; echo $STAGE; grep other /etc/hosts >&2; exit 3']);
assert.deepEqual([executed.exitCode, executed.stdout, executed.stderr], [3, '600\ntest\n', '192.0.2.7\tother\n']);
await web.copyContentToContainer([{ content: 'later', target: '/tmp/later' }]);
assert.match(await text(await web.copyArchiveFromContainer('/tmp/later')), /^later\0[^]*ustar[^]*later\0/);
assert.match(await text(await web.logs(), 'starting'), /^starting/m);

// A port that nobody asked for may be another after a restart.
await web.restart();
assert.equal(await (await fetch(`http://${web.getHost()}:${web.getMappedPort(8080)}/`)).text(), 'hello\n');
const neighbour = await sleeping().withNetwork(network).withWaitStrategy(Wait.forSuccessfulCommand('wget -qO- http://web:8080/ | grep hello')).start();

const healthy = await sleeping().withHealthCheck({ test: ['CMD-SHELL', 'test -f /tmp/seen || { touch /tmp/seen; exit 1; }'], interval: 200, timeout: 5000, retries: 10 })
  .withWaitStrategy(Wait.forHealthCheck()).start();
await new GenericContainer('alpine:latest').withCommand(['true']).withWaitStrategy(Wait.forOneShotStartup()).start();

mkdirSync(`${folder}/context`);
writeFileSync(`${folder}/context/Dockerfile`, 'FROM alpine:latest\nARG WORD=one\nRUN echo built with $WORD > /built\nCMD cat /built; sleep 1000\n');
const image = await GenericContainer.fromDockerfile(`${folder}/context`).withBuildArgs({ WORD: 'two' }).build('localhost/sdk-testcontainers:built', { deleteOnExit: false });
const built = await image.withWaitStrategy(Wait.forLogMessage('built with two')).start();
const committed = await built.commit({ repo: 'localhost/sdk-testcontainers', tag: 'committed' });
assert.match(committed, /^sha256:[0-9a-f]{64}$/);

const [first, second] = [await sleeping().withReuse().start(), await sleeping().withReuse().start()];
assert.equal(first.getId(), second.getId());
await assert.rejects(new GenericContainer('alpine:latest').withCommand(['sh', '-c', 'exit 7']).withWaitStrategy(Wait.forLogMessage('never')).start(), /never/);
await assert.rejects(new GenericContainer('localhost:1/no/such:image').start(), /connection refused/);

await first.stop();
await healthy.stop();
// Nothing else is stopped: that is the reaper's matter, when this program has ended.
assert(neighbour.getId() && built.getId());
console.log('ok');
process.exit(0);

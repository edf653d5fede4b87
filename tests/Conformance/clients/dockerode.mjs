// dockerode, the Node.js client, against the engine at DOCKER_HOST: run, logs, exec, attach, events. Prints ok at the end.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import Docker from 'dockerode';

const docker = new Docker({ socketPath: process.env.DOCKER_HOST.replace('unix://', '') });
const text = async (stream) => Buffer.concat(await stream.toArray()).toString();

const [ended, container] = await docker.run('alpine', ['sh', '-c', 'echo hello; exit 3'], new PassThrough().resume(), { Tty: false });
assert.equal(ended.StatusCode, 3);
// One frame: eight bytes of header (stream and length), then the line.
assert.equal((await text(await container.logs({ stdout: true, follow: true }))).slice(8), 'hello\n');
await container.remove();

const events = await docker.getEvents({ filters: { label: ['sdk=node'], type: ['container'] } });
const actions = [];
events.on('data', (data) => { for (const line of data.toString().trim().split('\n')) actions.push(JSON.parse(line).Action); });

const cat = await docker.createContainer({ Image: 'alpine', Cmd: ['cat'], OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, Labels: { sdk: 'node' }, name: 'sdk-node' });
try {
  const stream = await cat.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
  const output = new PassThrough();
  cat.modem.demuxStream(stream, output, output);
  stream.on('end', () => output.end());
  await cat.start();
  stream.write('attached\n');
  stream.end();
  assert.equal(await text(output), 'attached\n');
  assert.equal((await cat.wait()).StatusCode, 0);
  await cat.remove();

  const sleeper = await docker.createContainer({ Image: 'alpine', Cmd: ['sleep', '1000'], Labels: { sdk: 'node' }, name: 'sdk-node' });
  await sleeper.start();
  const exec = await sleeper.exec({ Cmd: ['sh', '-c', 'echo executed; exit 5'], AttachStdout: true, AttachStderr: true });
  const running = await exec.start({ hijack: true });
  const executed = new PassThrough();
  docker.modem.demuxStream(running, executed, executed);
  running.on('end', () => executed.end());
  assert.equal(await text(executed), 'executed\n');
  assert.equal((await exec.inspect()).ExitCode, 5);
  assert.equal((await sleeper.inspect()).State.Running, true);
  assert.deepEqual((await docker.listContainers({ filters: { label: ['sdk=node'] } })).map((one) => one.Names[0]), ['/sdk-node']);
} finally {
  await docker.getContainer('sdk-node').remove({ force: true });
}
const network = await docker.createNetwork({ Name: 'sdk-node-net', Labels: { sdk: 'node' }, CheckDuplicate: true });
const member = await docker.createContainer({
  Image: 'alpine', Cmd: ['sleep', '1000'], name: 'sdk-node-member', HostConfig: { NetworkMode: 'sdk-node-net' },
  NetworkingConfig: { EndpointsConfig: { 'sdk-node-net': { Aliases: ['member'] } } },
});
try {
  await member.start();
  const inspected = await network.inspect();
  assert.deepEqual(Object.values(inspected.Containers).map((one) => one.Name), ['sdk-node-member']);
  assert.deepEqual((await member.inspect()).NetworkSettings.Networks['sdk-node-net'].Aliases, ['member']);
  await network.disconnect({ Container: member.id });
  await network.connect({ Container: member.id, EndpointConfig: { Aliases: ['again'] } });
  assert.deepEqual((await docker.listNetworks({ filters: { label: ['sdk=node'] } })).map((one) => one.Name), ['sdk-node-net']);
} finally {
  await member.remove({ force: true });
  await network.remove();
}
await assert.rejects(docker.getContainer('nosuch').inspect(), (error) => error.statusCode === 404);
await new Promise((resolve) => setTimeout(resolve, 500));
events.destroy();
for (const action of ['create', 'attach', 'start', 'die', 'destroy']) assert.ok(actions.includes(action), `${action} in ${actions}`);
console.log('ok');

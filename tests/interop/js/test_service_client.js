// The standard gRPC interoperability cases, health and reflection, played by @grpc/grpc-js:
// node test_service_client.js SERVER CERTIFICATES NODE_MODULES
'use strict';
const fs = require('fs');
const path = require('path');
const assert = require('assert');
const { spawn } = require('child_process');

const [server, certificates, modules] = process.argv.slice(2);
const grpc = require(path.join(modules, '@grpc/grpc-js'));
const loader = require(path.join(modules, '@grpc/proto-loader'));
const load = (...files) => grpc.loadPackageDefinition(loader.loadSync(files,
  { includeDirs: ['/usr/share/grpc-proto'], keepCase: true, bytes: Buffer }));

const sizes = [31415, 9, 2653, 58979];
const requestSizes = [27182, 8, 1828, 45904];
const payload = size => ({ body: Buffer.alloc(size) });
const outputRequest = (wanted, asked = 0, interval = 0) => ({
  payload: payload(asked), response_parameters: wanted.map(size => ({ size, interval_us: interval })) });

const unary = (client, method, request, metadata = new grpc.Metadata(), options = {}) =>
  new Promise((resolve, reject) => {
    const seen = {};
    const call = client[method](request, metadata, options,
      (error, reply) => error ? reject(error) : setImmediate(() => resolve({ reply, ...seen })));
    call.on('metadata', m => { seen.initial = m; });
    call.on('status', s => { seen.trailing = s.metadata; });
  });
const collect = stream => new Promise((resolve, reject) => {
  const all = [];
  stream.on('data', message => all.push(message));
  stream.on('error', reject);
  stream.on('end', () => resolve(all));
});
const code = async promise => { try { await promise; return 0; } catch (error) { return error.code; } };

const cases = {
  async empty_unary(c) { assert.deepEqual((await unary(c, 'EmptyCall', {})).reply, {}); },
  async large_unary(c) {
    const { reply } = await unary(c, 'UnaryCall', { response_size: 314159, payload: payload(271828) });
    assert.equal(reply.payload.body.length, 314159);
  },
  async client_streaming(c) {
    const reply = await new Promise((resolve, reject) => {
      const call = c.StreamingInputCall((error, answer) => error ? reject(error) : resolve(answer));
      requestSizes.forEach(size => call.write({ payload: payload(size) }));
      call.end();
    });
    assert.equal(reply.aggregated_payload_size, 74922);
  },
  async server_streaming(c) {
    const replies = await collect(c.StreamingOutputCall(outputRequest(sizes)));
    assert.deepEqual(replies.map(r => r.payload.body.length), sizes);
  },
  async ping_pong(c) {
    const call = c.FullDuplexCall();
    const seen = [];
    await new Promise((resolve, reject) => {
      const next = () => seen.length < sizes.length
        ? call.write(outputRequest([sizes[seen.length]], requestSizes[seen.length])) : call.end();
      call.on('data', r => { seen.push(r.payload.body.length); next(); });
      call.on('error', reject);
      call.on('end', resolve);
      next();
    });
    assert.deepEqual(seen, sizes);
  },
  async empty_stream(c) {
    const call = c.FullDuplexCall();
    const all = collect(call);
    call.end();
    assert.deepEqual(await all, []);
  },
  async cancel_after_first_response(c) {
    const call = c.FullDuplexCall();
    call.write(outputRequest([31415], 27182));
    const status = await new Promise(resolve => {
      call.on('data', () => call.cancel());
      call.on('error', error => resolve(error.code));
    });
    assert.equal(status, grpc.status.CANCELLED);
  },
  async timeout_on_sleeping_server(c) {
    const call = c.FullDuplexCall(new grpc.Metadata(), { deadline: Date.now() + 20 });
    call.write(outputRequest([31415], 27182, 1000000));
    assert.equal(await code(collect(call)), grpc.status.DEADLINE_EXCEEDED);
  },
  async special_status_message(c) {
    const message = '\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n';
    await assert.rejects(unary(c, 'UnaryCall', { response_status: { code: 2, message } }),
      error => error.code === grpc.status.UNKNOWN && error.details === message);
  },
  async custom_metadata(c) {
    const metadata = new grpc.Metadata();
    metadata.set('x-grpc-test-echo-initial', 'test_initial_metadata_value');
    metadata.set('x-grpc-test-echo-trailing-bin', Buffer.from([0xab, 0xab, 0xab]));
    const { initial, trailing } = await unary(c, 'UnaryCall', { response_size: 314159 }, metadata);
    assert.deepEqual(initial.get('x-grpc-test-echo-initial'), ['test_initial_metadata_value']);
    assert.deepEqual(trailing.get('x-grpc-test-echo-trailing-bin'), [Buffer.from([0xab, 0xab, 0xab])]);
  },
  async unimplemented_method(c) {
    assert.equal(await code(unary(c, 'UnimplementedCall', {})), grpc.status.UNIMPLEMENTED);
  },
  async five_hundred_at_once(c) {
    const all = await Promise.all(Array.from({ length: 500 }, () => unary(c, 'UnaryCall', { response_size: 10 })));
    assert.equal(all.length, 500);
  },
  async big_messages(c) {
    const { reply } = await unary(c, 'UnaryCall', { response_size: 3000000, payload: payload(3000000) });
    assert.equal(reply.payload.body.length, 3000000);
    const refused = unary(c, 'UnaryCall', { response_size: 1, payload: payload(5000000) });
    assert.equal(await code(refused), grpc.status.RESOURCE_EXHAUSTED);
  },
  async slow_reader(c) {
    const call = c.StreamingOutputCall(outputRequest(Array(200).fill(100000)));
    let count = 0;
    for await (const reply of call) {
      assert.equal(reply.payload.body.length, 100000);
      if (++count < 20) await new Promise(resolve => setTimeout(resolve, 10));
    }
    assert.equal(count, 200);
  },
  async error_details(c, target) {
    const Echo = load(path.join(__dirname, '../echo.proto')).berth.test.Echo;
    const echo = new Echo(...target);
    const error = await unary(echo, 'Say', { text: 'vm-7', fail_code: 9 }).then(() => null, e => e);
    assert.equal(error.code, grpc.status.FAILED_PRECONDITION);
    assert.equal(error.details, 'as you wished: 50% of \u00fc');
    // google.rpc.Status and its details, as protobufjs reads them.
    const protobuf = require(path.join(modules, 'protobufjs'));
    const types = protobuf.loadSync(path.join(__dirname, '../../../rpc/wire/status.proto')).lookup('berth.rpc.wire');
    const status = types.lookupType('Status').decode(error.metadata.get('grpc-status-details-bin')[0]);
    assert.equal(status.code, 9);
    assert.deepEqual(status.details.map(d => d.typeUrl), ['ErrorInfo', 'BadRequest'].map(
      name => 'type.googleapis.com/google.rpc.' + name));
    const info = types.lookupType('ErrorInfo').decode(status.details[0].value);
    assert.deepEqual([info.reason, info.domain, info.metadata], ['ON_REQUEST', 'berth', { text: 'vm-7' }]);
    const bad = types.lookupType('BadRequest').decode(status.details[1].value);
    assert.equal(bad.fieldViolations[0].field, 'fail_code');
    echo.close();
  },
  async health(c, target) {
    const Health = load('grpc/health/v1/health.proto').grpc.health.v1.Health;
    const health = new Health(...target);
    assert.equal((await unary(health, 'Check', { service: '' })).reply.status, 1);
    assert.equal(await code(unary(health, 'Check', { service: 'none' })), grpc.status.NOT_FOUND);
    health.close();
  },
  async reflection(c, target) {
    const Reflection = load('grpc/reflection/v1/reflection.proto').grpc.reflection.v1.ServerReflection;
    const reflection = new Reflection(...target);
    const call = reflection.ServerReflectionInfo();
    const all = collect(call);
    call.write({ list_services: '' });
    call.end();
    const names = (await all)[0].list_services_response.service.map(s => s.name);
    assert.ok(names.includes('grpc.testing.TestService'), names);
    reflection.close();
  },
};

async function main() {
  const child = spawn(server, [certificates], { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = await new Promise(resolve => child.stdout.once('data', data => resolve(String(data))));
  const read = name => fs.readFileSync(path.join(certificates, name));
  const target = ['localhost:' + said.split(' ')[1].trim(),
    grpc.credentials.createSsl(read('ca.crt'), read('client.key'), read('client.crt'))];
  const TestService = load('grpc/testing/test.proto').grpc.testing.TestService;
  const client = new TestService(...target);
  for (const [name, play] of Object.entries(cases)) {
    console.log(name);
    await play(client, target);
  }
  client.close();
  child.stdin.end();
  const status = await new Promise(resolve => child.once('exit', resolve));
  assert.equal(status, 0, 'the server ends well');
}
process.exitCode = 1;  // until it has come to its end: node leaves quietly when nothing is left to wait for
main().then(() => { process.exitCode = 0; }, error => { console.error(error); process.exit(1); });

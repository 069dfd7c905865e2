// A VM with two interfaces, there and back: the northbound API from Node, the .proto read when it runs.
//
//   npm install @grpc/grpc-js @grpc/proto-loader
//   node docs/examples/api/attach.js
//
// Environment: BERTH_ENDPOINT, BERTH_CERTIFICATE, BERTH_PRIVATE_KEY, BERTH_TRUSTED_CA, as for berthctl.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const DEADLINE_MS = 30000; // of each call

const definition = loader.loadSync('berth/northbound/v1/attachments.proto',
  { includeDirs: [path.join(__dirname, '../../../proto')], keepCase: true, enums: String, longs: String });
const { Attachments } = grpc.loadPackageDefinition(definition).berth.northbound.v1;

function connect() {
  const pem = name => fs.readFileSync(process.env[name]);
  return new Attachments(process.env.BERTH_ENDPOINT, grpc.credentials.createSsl(
    pem('BERTH_TRUSTED_CA'), pem('BERTH_PRIVATE_KEY'), pem('BERTH_CERTIFICATE')));
}

const call = (berth, method, request) => new Promise((resolve, reject) =>
  berth[method](request, { deadline: Date.now() + DEADLINE_MS },
    (error, reply) => error ? reject(error) : resolve(reply)));

// Waits for the operation's end. A retry after a lost connection is this call again.
async function finish(berth, operation) {
  const ended = await call(berth, 'WaitOperation', { operation: operation.id });
  if (ended.error) throw new Error(`${ended.id}: ${ended.error.reason}: ${ended.error.message}`);
  return ended;
}

async function main() {
  const berth = connect();
  const attached = await finish(berth, await call(berth, 'AttachVm', {
    request_id: crypto.randomUUID(), // kept with the intent, so that a retry repeats it
    vm: 'vm-1',
    interfaces: [
      { vpc: 'blue', ips: ['10.1.0.5'], mac: '02:00:00:00:01:05', network_class: 'COMPUTE' },
      { vpc: 'green', ips: ['10.2.0.5'], mac: '02:00:00:00:02:05', network_class: 'STORAGE' }],
  }));
  const attachment = await call(berth, 'GetAttachment', {
    attachment: attached.attachment, read_mask: { paths: ['id', 'vm', 'interfaces', 'etag'] } });
  for (const { interface: wanted, port } of attachment.interfaces)
    console.log(attachment.vm, wanted.vpc, port.function, port.socket);
  await finish(berth, await call(berth, 'DetachVm', {
    request_id: crypto.randomUUID(), attachment: attachment.id, etag: attachment.etag }));
  console.log('detached', attachment.id);
  berth.close();
}

main().catch(error => {
  console.error(error.message); // the reason: grpc-status-details-bin, docs/api.md
  process.exitCode = 1;
});

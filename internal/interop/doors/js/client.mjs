// Drives MQTT.js against a broker: node client.mjs URL '{"ca": FILE, "origin": ORIGIN, "headers": {...}}'
//
// It ends with "ok" and status 0, or with what went wrong and status 1. Large messages make frames that hold no whole packet, and many small
// ones in a row make frames that hold several.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import mqtt from 'mqtt'

const [url, text] = process.argv.slice(2)
const { ca, origin, headers } = JSON.parse(text) ?? {}

async function session(protocolVersion) {
  const client = await mqtt.connectAsync(url, {
    protocolVersion,
    protocolId: protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
    reconnectPeriod: 0,
    connectTimeout: 10_000,
    ca: ca && readFileSync(ca),
    wsOptions: { origin, headers },
  }, false)
  client.on('error', fail)
  const got = []
  let wake = () => {}
  client.on('message', (topic, payload) => {
    got.push(payload.toString())
    wake()
  })
  const topic = `doors/${protocolVersion}/${process.pid}`
  await client.subscribeAsync(topic, { qos: 2 })
  const texts = [...Array.from({ length: 200 }, (_, i) => `m ${i}`), 'x'.repeat(300_000), 'last']
  for (let i = 0; i < texts.length; i += 20) { // within the broker's Receive Maximum
    await Promise.all(texts.slice(i, i + 20).map((t, j) => client.publishAsync(topic, t, { qos: j % 3 })))
  }
  while (got.length < texts.length) {
    await new Promise((resolve) => { wake = resolve })
  }
  assert.deepEqual(got.toSorted(), texts.toSorted())
  await client.endAsync()
}

function fail(err) {
  console.error(err)
  process.exit(1)
}

try {
  for (const version of [3, 4, 5]) {
    await session(version)
  }
  console.log('ok')
} catch (err) {
  fail(err)
}

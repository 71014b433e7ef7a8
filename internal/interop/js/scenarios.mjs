// Drives MQTT.js against a broker: node scenarios.mjs SCENARIO URL PROTOCOL-VERSION PREFIX
//
// A scenario ends with "ok" and status 0, or with what went wrong and status 1. PREFIX makes topics and client ids
// unique. Every wait is for an event and bounded.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import mqtt from 'mqtt'

const [scenario, url, versionText, prefix] = process.argv.slice(2)
const protocolVersion = Number(versionText)
const v5 = protocolVersion === 5
const patience = 20_000

const common = {
  protocolVersion,
  protocolId: protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
  reconnectPeriod: 0,
  connectTimeout: patience,
}

let clients = []

async function connect(options = {}) {
  const client = await mqtt.connectAsync(url, { ...common, ...options }, false)
  client.on('error', (err) => fail(err))
  clients.push(client)
  return client
}

function fail(err) {
  console.error(err)
  process.exit(1)
}

// collect gathers messages from now on; take(n) waits until there are n.
function collect(client) {
  const messages = []
  let wake = () => {}
  client.on('message', (topic, payload, packet) => {
    messages.push({ topic, text: payload.toString(), qos: packet.qos, retain: packet.retain, packet })
    wake()
  })
  return async function take(n) {
    while (messages.length < n) {
      await new Promise((resolve) => { wake = resolve })
    }
    return messages.splice(0, n)
  }
}

// publishAll keeps within the broker's Receive Maximum (20), which MQTT.js itself does not heed.
async function publishAll(client, topic, texts, qos) {
  for (let i = 0; i < texts.length; i += 20) {
    await Promise.all(texts.slice(i, i + 20).map((text) => client.publishAsync(topic, text, { qos })))
  }
}

// drop closes the socket without a DISCONNECT.
async function drop(client) {
  const closed = once(client, 'close')
  client.stream.destroy()
  await closed
}

const scenarios = {
  async qos() {
    const sub = await connect()
    const take = collect(sub)
    const pub = await connect()
    for (const qos of [0, 1, 2]) {
      const topic = `${prefix}/qos/${qos}`
      const granted = await sub.subscribeAsync(topic, { qos })
      assert.equal(granted[0].qos, qos)
      const texts = Array.from({ length: 100 }, (_, i) => `m ${i}`)
      await publishAll(pub, topic, texts, qos)
      const got = await take(texts.length)
      assert.deepEqual(got.map((m) => m.text), texts)
      assert.ok(got.every((m) => m.qos === qos && m.topic === topic && !m.retain))
    }
  },

  // Programs publish in a loop without waiting. MQTT.js then has more unacknowledged than the Receive Maximum allows; a
  // broker that acknowledges at once never sees it.
  async flood() {
    const sub = await connect()
    const take = collect(sub)
    await sub.subscribeAsync(prefix, { qos: 1 })
    const pub = await connect()
    const texts = Array.from({ length: 200 }, (_, i) => `m ${i}`)
    await Promise.all(texts.map((text) => pub.publishAsync(prefix, text, { qos: 1 })))
    assert.deepEqual((await take(texts.length)).map((m) => m.text), texts)
  },

  async retained() {
    const pub = await connect()
    await pub.publishAsync(`${prefix}/a`, 'kept', { qos: 1, retain: true })
    const sub = await connect()
    const take = collect(sub)
    await sub.subscribeAsync(`${prefix}/+`, { qos: 1 })
    const [m] = await take(1)
    assert.deepEqual([m.topic, m.text, m.retain, m.qos], [`${prefix}/a`, 'kept', true, 1])

    await pub.publishAsync(`${prefix}/a`, '', { qos: 1, retain: true })
    await pub.publishAsync(`${prefix}/b`, 'other', { qos: 1, retain: true })
    const late = await connect()
    const takeLate = collect(late)
    await late.subscribeAsync(`${prefix}/+`, { qos: 1 })
    assert.equal((await takeLate(1))[0].text, 'other')
    await pub.publishAsync(`${prefix}/b`, '', { qos: 1, retain: true })
  },

  async will() {
    const watcher = await connect()
    const take = collect(watcher)
    await watcher.subscribeAsync(prefix, { qos: 2 })
    const will = { topic: prefix, payload: 'died', qos: 2, retain: false }
    if (v5) will.properties = { contentType: 'text/plain', userProperties: { k: 'v' } }
    await drop(await connect({ will }))
    const [m] = await take(1)
    assert.deepEqual([m.text, m.qos], ['died', 2])
    if (v5) {
      assert.equal(m.packet.properties.contentType, 'text/plain')
      assert.equal(m.packet.properties.userProperties.k, 'v')
    }
    const polite = await connect({ will: { ...will, payload: 'never' } })
    await polite.endAsync()
    await watcher.publishAsync(prefix, 'after', { qos: 2 })
    assert.equal((await take(1))[0].text, 'after')
  },

  async session() {
    const stored = { clientId: `${prefix}-client`, clean: false }
    if (v5) stored.properties = { sessionExpiryInterval: 600 }
    const first = await connect(stored)
    await first.subscribeAsync(prefix, { qos: 2 })
    await drop(first)

    const pub = await connect()
    const texts = Array.from({ length: 60 }, (_, i) => `m ${i}`)
    for (const [i, text] of texts.entries()) {
      await pub.publishAsync(prefix, text, { qos: 1 + (i % 2) })
    }
    // the messages come right behind CONNACK: listen before it
    const again = mqtt.connect(url, { ...common, ...stored })
    clients.push(again)
    again.on('error', fail)
    const take = collect(again)
    const [connack] = await once(again, 'connect')
    if (protocolVersion > 3) assert.equal(connack.sessionPresent, true)
    const got = await take(texts.length)
    for (const odd of [0, 1]) { // the order holds per QoS
      assert.deepEqual(got.filter((m) => m.qos === 1 + odd).map((m) => m.text), texts.filter((_, i) => i % 2 === odd))
    }
    await again.endAsync()
    const clean = await connect({ clientId: stored.clientId, clean: true })
    await clean.endAsync()
  },

  async shared() {
    const filter = `$share/${prefix}-group/${prefix}`
    const members = [await connect(), await connect(), await connect()]
    const seen = []
    const counts = members.map(() => 0)
    let wake = () => {}
    for (const [i, member] of members.entries()) {
      member.on('message', (_, payload) => {
        seen.push(payload.toString())
        counts[i]++
        wake()
      })
      await member.subscribeAsync(filter, { qos: 1 })
    }
    const pub = await connect()
    const texts = Array.from({ length: 90 }, (_, i) => `m ${i}`)
    await publishAll(pub, prefix, texts, 1)
    while (seen.length < texts.length) {
      await new Promise((resolve) => { wake = resolve })
    }
    assert.deepEqual(seen.sort(), texts.sort())
    assert.ok(counts.every((n) => n === 30), `shares ${counts}`)
  },

  async properties() {
    const sub = await connect()
    const take = collect(sub)
    await sub.subscribeAsync(prefix, { qos: 1, rap: true, properties: { subscriptionIdentifier: 7 } })
    const pub = await connect({ properties: { topicAliasMaximum: 5 } })
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 3600,
      responseTopic: `${prefix}/answer`,
      correlationData: Buffer.from([0, 1, 255]),
      contentType: 'application/json',
      userProperties: { a: ['1', '2'], b: '3' },
    }
    await pub.publishAsync(prefix, '{}', { qos: 1, properties })
    const [m] = await take(1)
    const got = m.packet.properties
    assert.equal(got.payloadFormatIndicator, true)
    assert.ok(got.messageExpiryInterval > 3590 && got.messageExpiryInterval <= 3600)
    assert.equal(got.responseTopic, properties.responseTopic)
    assert.deepEqual(got.correlationData, properties.correlationData)
    assert.equal(got.contentType, properties.contentType)
    assert.deepEqual({ ...got.userProperties }, properties.userProperties)
    assert.equal(got.subscriptionIdentifier, 7)

    // the second publication travels by alias alone
    const aliased = { qos: 1, properties: { topicAlias: 3 } }
    await pub.publishAsync(prefix, 'named', aliased)
    await pub.publishAsync('', 'alias', aliased)
    assert.deepEqual((await take(2)).map((x) => [x.topic, x.text]), [[prefix, 'named'], [prefix, 'alias']])

    const own = await connect()
    const takeOwn = collect(own)
    await own.subscribeAsync(`${prefix}/own`, { qos: 1, nl: true })
    await own.publishAsync(`${prefix}/own`, 'mine', { qos: 1 })
    await pub.publishAsync(`${prefix}/own`, 'theirs', { qos: 1 })
    assert.equal((await takeOwn(1))[0].text, 'theirs')
  },
}

process.on('unhandledRejection', fail)
setTimeout(() => fail(new Error(`${scenario} did not end in ${patience} ms`)), patience).unref()
assert.ok(scenarios[scenario], `no scenario ${scenario}`)
await scenarios[scenario]()
await Promise.all(clients.filter((c) => c.connected).map((c) => c.endAsync()))
console.log('ok')
process.exit(0)

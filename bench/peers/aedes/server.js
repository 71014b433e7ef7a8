// Runs the broker aedes for bench/compare: one TCP listener, everybody allowed, everything in memory.
//
//   node server.js HOST PORT
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

const broker = await Aedes.createBroker()
createServer({ noDelay: true }, broker.handle).listen(Number(process.argv[3]), process.argv[2])

/** Lets one publisher of a Janus room be played over WHEP: `node whep.js JANUS PORT ROOM FEED NAME`. */

import { JanusWhepServer } from "janus-whep-server";

const [address, port, room, feed, name] = process.argv.slice(2);
const server = new JanusWhepServer({ janus: { address }, rest: { port: Number(port), basePath: "/whep" } });
await server.start();
server.createEndpoint({ id: name, plugin: "videoroom", room: Number(room), feed: Number(feed) });

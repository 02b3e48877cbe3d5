// An independent master: vda-5050-lib's MasterController. It has the robot drive, act, pause, go on, and be cancelled,
// and prints one line of JSON for each thing that it is told. node master.js BROKER_URL USER PASSWORD
const { MasterController, Topic, BlockingType } = require("vda-5050-lib");

const [brokerUrl, username, password] = process.argv.slice(2);
const agv = { manufacturer: "acme", serialNumber: "R1" };
const say = (what, more) => console.log(JSON.stringify({ what, ...more }));
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const node = (k, x, released = true, actions = []) => ({
  nodeId: `n${k}`, sequenceId: 2 * k, released, actions,
  nodePosition: { x, y: 1, mapId: "ground", allowedDeviationXY: 0.3 },
});
const edge = (k, released = true) => ({
  edgeId: `e${k}`, sequenceId: 2 * k - 1, released, actions: [], startNodeId: `n${k - 1}`, endNodeId: `n${k}`, maxSpeed: 0.5,
});
const wait = {
  actionId: "w1", actionType: "wait", blockingType: BlockingType.Hard, actionParameters: [{ key: "seconds", value: 1 }],
};

const master = new MasterController(
  { interfaceName: "uagv", vdaVersion: "2.0.0", transport: { brokerUrl, protocolVersion: "5.0", username, password } }, {},
);

const order = (object) =>
  new Promise((resolve) =>
    master.assignOrder(agv, object, {
      onOrderProcessed: (error, byCancelation, active) => {
        say("processed", { order: object.orderId, update: object.orderUpdateId, error: error?.errorType, byCancelation, active });
        if (!active || error) resolve();
      },
      onNodeTraversed: (passed) => say("node", { order: object.orderId, node: passed.nodeId }),
      onActionStateChanged: (state) => say("action", { id: state.actionId, status: state.actionStatus }),
    }),
  );

const instant = (actionType, actionId) =>
  new Promise((resolve) =>
    master.initiateInstantActions(
      agv,
      { instantActions: [{ actionId, actionType, blockingType: BlockingType.Hard, actionParameters: [] }] },
      {
        onActionStateChanged: (state) => {
          say("instant", { type: actionType, status: state.actionStatus });
          if (["FINISHED", "FAILED"].includes(state.actionStatus)) resolve();
        },
        onActionError: (error) => { say("instant", { type: actionType, error: error.errorType }); resolve(); },
      },
    ),
  );

(async () => {
  await master.start();
  await new Promise((resolve) =>
    master.subscribe(Topic.Connection, agv, (c) => { say("connection", { state: c.connectionState }); resolve(); }));

  // A base and a horizon, released by an update that is stitched on.
  const first = order({ orderId: "o1", orderUpdateId: 0, nodes: [node(0, 1), node(1, 2), node(2, 3, false)], edges: [edge(1), edge(2, false)] });
  await later(1500);
  await order({ orderId: "o1", orderUpdateId: 1, nodes: [node(1, 2), node(2, 3, true, [wait])], edges: [edge(2)] });

  // Pause and go on while driving, then cancel.
  const last = order({ orderId: "o2", orderUpdateId: 0, nodes: [node(0, 3), node(1, 6)], edges: [edge(1)] });
  await later(1000);
  await instant("startPause", "p1");
  await instant("stopPause", "p2");
  await later(700);
  await instant("cancelOrder", "c1");
  await last;
  await instant("cancelOrder", "c2");

  // An order that begins elsewhere is refused.
  await order({ orderId: "o3", orderUpdateId: 0, nodes: [node(0, 11)], edges: [] });
  await master.stop();
  process.exit(0);
})().catch((error) => { console.error(error.message); process.exit(1); });

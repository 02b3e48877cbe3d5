// An independent robot: vda-5050-lib's virtual vehicle. node robot.js BROKER_URL USER PASSWORD
const { AgvController, VirtualAgvAdapter } = require("vda-5050-lib");

const [brokerUrl, username, password] = process.argv.slice(2);
const robot = new AgvController(
  { manufacturer: "acme", serialNumber: "R1" },
  { interfaceName: "uagv", vdaVersion: "2.0.0", transport: { brokerUrl, protocolVersion: "5.0", username, password } },
  { agvAdapterType: VirtualAgvAdapter, publishStateInterval: 1000, publishVisualizationInterval: 0 },
  { initialPosition: { mapId: "ground", x: 1, y: 1, theta: 0, lastNodeId: "start" }, vehicleSpeed: 0.5 },
);
robot.start().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
process.on("SIGTERM", () => robot.stop().then(() => process.exit(0)));

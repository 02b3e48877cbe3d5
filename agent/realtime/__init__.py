"""The OpenAI Realtime protocol (GA event names) over websockets: any of its clients can talk to the agent."""

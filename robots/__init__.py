"""Robots: VDA 5050 over MQTT, the safety gate, a simulator."""

"""Messages to a robot and back: MQTT, links, packets."""

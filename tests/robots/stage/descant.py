"""The console script, for `python -m tests.robots.stage.descant`: the one of the environment may be of another tree."""

from agent.cli.main import main

if __name__ == "__main__":
    main()

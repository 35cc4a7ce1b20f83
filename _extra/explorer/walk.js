// The walk of one answer, as a list of steps in lanes: what was recorded, in packet order.
"use strict";

window.nodeportLabWalk = (answer, words, names) => {
  const { client, way, decisions } = answer;
  const start = client.node ?? client.name;
  const places = [...new Set([start, way.node, answer.server].filter((place) => place !== null))];

  const roles = (place) => [
    place === client.node ? words.lanes.client : null,
    place === way.node ? words.lanes.dialled : null,
    place === answer.server ? words.lanes.server : null,
    place === start && client.node === null ? words.lanes.outside : null,
  ].filter((role) => role !== null).join(", ");

  // The node whose address a hook or the application saw in the client's place, if it is one.
  const standIn = (address) => {
    const [what, name] = answer.addresses[address] ?? [];
    return ["node", "tunnel"].includes(what) && name !== client.node ? name : null;
  };

  function steps() {
    const found = [{ place: start, lines: [words.dials(client.name, way.dialled ?? names.way(way))] }];
    const concluded = new Set();
    const conclude = (address) => {
      const node = standIn(address);
      const known = places.includes(node) && !concluded.has(node);
      if (!known || decisions.some((one) => one.node === node)) return;
      concluded.add(node);
      found.push({ place: node, kind: "concluded", lines: [words.concluded(names.address(address))] });
    };
    for (const decision of decisions) {
      if (decision.node !== start) conclude(decision.source);
      found.push({
        place: decision.node,
        kind: decision.action,
        lines: [
          `${words.evaluates[decision.direction]}: ${decision.hook}`,
          words.saw(decision.source, decision.destination),
          `${words.actions[decision.action]}: ${names.rule(decision, answer)}`,
        ],
      });
    }
    return [...found, ...ending(found, conclude)];
  }

  function ending(found, conclude) {
    const outcome = names.outcome(answer.outcome);
    if (answer.verdict === "allowed") {
      if (answer.logged !== null) conclude(answer.logged);
      const logs = answer.logged === null ? [] : [words.logs(names.address(answer.logged))];
      return [{ place: answer.server ?? start, kind: "allow", lines: [outcome, words.answers, ...logs] }];
    }
    const denied = decisions.some((one) => one.action === "deny");
    const { place } = found[found.length - 1];
    return [{ place, kind: "deny", lines: [outcome, denied ? words.dropped : words.unexplained] }];
  }

  const drawn = steps();
  return {
    lanes: places.map((place) => ({
      place, roles: roles(place), reached: drawn.some((step) => step.place === place),
    })),
    steps: drawn,
  };
};

// Questions and answers over the published observations. Nothing of a page is known here,
// and nothing is concluded but what the records state. The form of the document is described
// by src/nodeport_lab/published.schema.json.
"use strict";

window.nodeportLabAtlas = (published) => {
  const NEAR_TO_FAR = [
    "own-node", "other-node", "third-node", "cluster-ip", "pod-ip", "load-balancer", "external-ip",
  ];
  const PARTS = ["suite", "policy", "client", "way", "dataplane"];

  const different = (values) => [...new Set(values)];
  const runs = published.runs.map((run) => ({
    ...run,
    ways: run.ways.map(way),
    decisions: run.decisions.map(decision),
  }));

  function way([client, service, route, node, relation, dialled]) {
    const id = [route, service, node].filter((part) => part !== null).join(":");
    return { id, client, service, route, node, relation, dialled, target: relation ?? route };
  }

  function decision([direction, node, hook, source, destination, policy, rule, action]) {
    return { direction, node, hook, source, destination, policy, rule, action };
  }

  const suites = different(runs.map((run) => run.suite));
  const runsOf = (suite) => runs.filter((run) => run.suite === suite);
  const dataplanes = (suite) => runsOf(suite).map((run) => run.dataplane);
  const policies = (suite) => different(runsOf(suite).flatMap((run) => run.policies.map((one) => one.name)));
  const clients = (suite) => {
    const found = new Map(runsOf(suite).flatMap((run) => run.clients.map((one) => [one[0], one])));
    return [...found.values()].map(([name, kind, node]) => ({ name, kind, node }));
  };
  const ways = (suite, client) => {
    const all = runsOf(suite).flatMap((run) => run.ways).filter((one) => one.client === client);
    const rank = (one) => NEAR_TO_FAR.indexOf(one.target);
    return [...new Map(all.map((one) => [one.id, one])).values()].sort((a, b) => rank(a) - rank(b));
  };
  const basis = (suite, dataplane) => runsOf(suite).find((run) => run.dataplane === dataplane)?.basis;

  // The record of one cell, with what it refers to in its place; null where nobody asked.
  function answer({ suite, policy, client, way: id, dataplane }) {
    const run = runsOf(suite).find((one) => one.dataplane === dataplane);
    const row = run?.policies.findIndex((one) => one.name === policy);
    const column = run?.ways.findIndex((one) => one.client === client && one.id === id);
    const number = run?.cells[row]?.[column] ?? null;
    if (number === null) return null;
    const [verdict, control, server, logged, decisions] = run.records[number];
    return {
      run: run.run,
      basis: run.basis,
      testbed: run.testbed,
      changed: run.changed,
      nodes: run.nodes,
      addresses: run.addresses,
      policy: run.policies[row],
      client: clients(suite).find((one) => one.name === client),
      way: run.ways[column],
      verdict,
      control,
      outcome: control === "allowed" ? verdict : "no path",
      server,
      logged,
      decisions: decisions.map((position) => run.decisions[position]),
    };
  }

  // The question nearest to a wish: what does not exist is replaced by the first that does.
  function question(wish) {
    const chosen = (values, value) => (values.includes(value) ? value : values[0]);
    const suite = chosen(suites, wish.suite);
    const client = chosen(clients(suite).map((one) => one.name), wish.client);
    return {
      suite,
      policy: chosen(policies(suite), wish.policy),
      client,
      way: chosen(ways(suite, client).map((one) => one.id), wish.way),
      dataplane: chosen(dataplanes(suite), wish.dataplane),
    };
  }

  const outcome = (asked) => answer(asked)?.outcome ?? null;

  // The dataplanes on which the node that is dialled decides, for the client asked about.
  function nodeDecides(asked) {
    const nodes = ways(asked.suite, asked.client).filter((one) => one.node !== null);
    return dataplanes(asked.suite).filter((dataplane) => {
      const found = nodes.map((one) => outcome({ ...asked, way: one.id, dataplane }));
      return different(found.filter((one) => one !== null)).length > 1;
    });
  }

  // Outcome -> the dataplanes that gave it, for the connection asked about.
  function byOutcome(asked) {
    const found = new Map();
    for (const dataplane of dataplanes(asked.suite)) {
      const one = outcome({ ...asked, dataplane });
      if (one !== null) found.set(one, [...(found.get(one) ?? []), dataplane]);
    }
    return found;
  }

  const write = (asked) => `#ask=${PARTS.map((part) => encodeURIComponent(asked[part])).join("/")}`;
  const read = (hash) => {
    if (!hash.startsWith("#ask=")) return null;
    const values = hash.slice("#ask=".length).split("/");
    try {
      return Object.fromEntries(PARTS.map((part, place) => [part, decodeURIComponent(values[place] ?? "")]));
    } catch {
      return null; // somebody cut the address in the middle of a sign
    }
  };

  return {
    suites, dataplanes, policies, clients, ways, basis, answer, question, outcome, nodeDecides,
    byOutcome, write, read,
  };
};

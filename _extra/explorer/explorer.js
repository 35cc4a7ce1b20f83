// The page `Ask the atlas`: a question by five choices, its answer, its walk, and the same
// question elsewhere. The choices stand in the page's address, so that an answer is a link.
"use strict";

(() => {
  const root = document.getElementById("explorer");
  const published = window.nodeportLabObservations;
  if (!root || !published) return;

  const atlas = window.nodeportLabAtlas(published);
  const spoken = document.documentElement.lang.toLowerCase().startsWith("zh") ? "zh" : "en";
  const words = window.nodeportLabWords[spoken];
  const SYMBOLS = { allowed: "✓", timeout: "✗", refused: "⊘", "no path": "–", error: "!" };
  const FIRST = {
    suite: "egress", policy: "ipblock-nodes", client: "client-b",
    way: "nodeport:hello:dev-worker2", dataplane: "calico-iptables",
  };

  // --- names -------------------------------------------------------------------------------

  const names = {
    outcome: (outcome) => `${SYMBOLS[outcome]} ${outcome}`,
    client: (client) => {
      const kind = words.kinds[client.kind] ?? client.kind;
      return `${client.name} (${client.node === null ? kind : words.on(kind, client.node)})`;
    },
    way: (way) => words.routes[way.route]?.(way.node ?? way.service) ?? way.id,
    wayAndRelation: (way) =>
      (way.relation === null ? names.way(way) : words.related(names.way(way), words.relations[way.relation])),
    address: (address) => {
      const owner = answered?.addresses[address.split(":")[0]];
      return owner ? `${address} (${words.owners[owner[0]](owner[1])})` : address;
    },
    rule: (decision, answer) => {
      const told = words.rules[decision.rule];
      if (told) return told(decision.policy ?? answer.policy.name);
      return words.rules.matched(decision.policy, decision.rule, answer.policy.rules?.[decision.rule] ?? "");
    },
  };

  // --- elements ----------------------------------------------------------------------------

  function make(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  const choices = Object.fromEntries(["policy", "client", "way", "dataplane"].map((part) => {
    const select = make("select", { id: `ask-${part}`, name: part });
    select.addEventListener("change", () => ask({ ...asked, [part]: select.value }));
    return [part, select];
  }));

  const radios = atlas.suites.map((suite) => {
    const radio = make("input", { type: "radio", name: "suite", value: suite, id: `ask-suite-${suite}` });
    radio.addEventListener("change", () => ask({ ...asked, suite }));
    return radio;
  });

  const headline = make("p", { class: "ask-headline", role: "status" });
  const facts = make("dl", { class: "ask-facts" });
  const walk = make("div", { class: "ask-walk-frame" });
  const nodesNote = make("p");
  const nodesTable = make("table", { role: "grid" });
  const everyNote = make("p");
  const everyTable = make("table", { role: "grid" });
  const link = make("a", { class: "ask-link" }, words.link);

  function build() {
    const form = make("form", { "aria-label": words.question },
      make("fieldset", {}, make("legend", {}, words.suite),
        ...radios.map((radio) => make("label", {}, radio, ` ${words.suites[radio.value] ?? radio.value}`))),
      ...Object.entries(choices).map(([part, select]) =>
        make("div", { class: "ask-choice" }, make("label", { for: select.id }, words[part]), select)));
    form.addEventListener("submit", (event) => event.preventDefault());
    const scrolling = (label, child) =>
      make("div", { class: "ask-scroll", tabindex: "0", role: "group", "aria-label": label }, child);
    root.replaceChildren(form,
      make("section", { class: "ask-answer", "aria-label": words.answer }, headline, facts, link),
      make("h3", {}, words.walk), walk, make("p", { class: "ask-small" }, words.walkNote),
      make("h3", {}, words.nodes), nodesNote, scrolling(words.nodes, nodesTable),
      make("p", { class: "ask-small" }, words.keys),
      make("h3", {}, words.every), everyNote, scrolling(words.every, everyTable));
  }

  function offer(select, values, value) {
    const offered = [...select.options].map((option) => option.value + option.text).join("\n");
    if (offered !== values.map(([one, text]) => one + text).join("\n")) {
      select.replaceChildren(...values.map(([one, text]) => make("option", { value: one }, text)));
    }
    select.value = value;
  }

  // --- one question ------------------------------------------------------------------------

  let asked = null;
  let answered = null;

  function ask(wish, { note = true } = {}) {
    asked = atlas.question(wish);
    answered = atlas.answer(asked);
    if (note) history.replaceState(null, "", atlas.write(asked));
    const { suite, client } = asked;
    const clients = atlas.clients(suite);
    for (const radio of radios) radio.checked = radio.value === suite;
    offer(choices.policy, atlas.policies(suite).map((one) => [one, one]), asked.policy);
    offer(choices.client, clients.map((one) => [one.name, names.client(one)]), client);
    offer(choices.way, atlas.ways(suite, client).map((one) => [one.id, names.wayAndRelation(one)]), asked.way);
    offer(choices.dataplane, atlas.dataplanes(suite).map((one) =>
      [one, `${one} (${words.basis[atlas.basis(suite, one)]})`]), asked.dataplane);
    showAnswer();
    showWalk();
    showNodes();
    showPolicies();
    link.href = atlas.write(asked);
  }

  function showAnswer() {
    const kind = answered ? answered.outcome.replace(" ", "-") : "no-path";
    headline.className = `ask-headline ${kind}`;
    headline.textContent = answered
      ? words.headline(names.outcome(answered.outcome), names.client(answered.client),
        names.wayAndRelation(answered.way), asked.policy, asked.dataplane)
      : words.notAsked;
    facts.replaceChildren(...(answered ? told(answered).flatMap(([name, ...lines]) => [
      make("dt", {}, name),
      make("dd", {}, ...lines.map((line) => make("div", {}, line))),
    ]) : []));
  }

  function told(answer) {
    const told = words.facts;
    const { way, policy, decisions } = answer;
    const rules = Object.entries(policy.rules ?? {}).map(([path, text]) => `${text} (${path})`);
    const directions = policy.selects ? words.selects(policy.selects, asked.suite) : words.noPolicy;
    const rows = [
      [told.dialled, way.dialled === null ? names.way(way) : names.address(way.dialled)],
      [told.allows, ...(policy.selects ? [directions, ...(rules.length ? rules : [words.allowsNothing])]
        : [directions])],
    ];
    for (const decision of decisions) {
      rows.push([
        told.saw[decision.direction],
        words.flow(names.address(decision.source), names.address(decision.destination)),
        lookedAt(decision, answer),
        words.hook(decision.hook, decision.node),
        `${words.actions[decision.action]}: ${names.rule(decision, answer)}`,
      ]);
    }
    if (!decisions.some((one) => one.direction === asked.suite)) {
      rows.push([told.saw[asked.suite], words.notEvaluated]);
    }
    rows.push(
      [told.control, names.outcome(answer.control)],
      [told.logged, answer.logged === null ? words.notLogged : names.address(answer.logged)],
      [told.basis, words.bases[answer.basis], answer.changed ? words.changed(answer.changed) : words.defaults],
      [told.run, make("a", { href: `../notebooks/runs/${answer.run}.html` }, answer.run)],
    );
    return rows;
  }

  // What a comparison of two recorded addresses says of the translation before the hook.
  function lookedAt(decision, answer) {
    if (decision.direction === "egress") {
      if (answer.way.dialled === null) return "";
      return decision.destination === answer.way.dialled ? words.keptDestination : words.replacedDestination;
    }
    const [, owner] = answer.addresses[decision.source] ?? [];
    const own = owner === answer.client.name
      || (answer.client.kind.startsWith("host") && owner === answer.client.node);
    return own ? words.keptSource : words.replacedSource;
  }

  // --- its walk ----------------------------------------------------------------------------

  function showWalk() {
    if (!answered) {
      walk.replaceChildren();
      return;
    }
    const { lanes, steps } = window.nodeportLabWalk(answered, words, names);
    const lane = (place) => lanes.findIndex((one) => one.place === place) + 1;
    const list = make("ol", { class: "ask-walk", style: `--lanes: ${lanes.length}` });
    const heads = lanes.map(({ place, roles, reached }, number) =>
      make("div", { class: reached ? "lane" : "lane unreached", style: `grid-column: ${number + 1}` },
        make("strong", {}, place), make("span", {}, reached ? roles : `${roles}; ${words.nothingRecorded}`)));
    let here = lane(steps[0].place);
    steps.forEach((step) => {
      const there = lane(step.place);
      const item = make("li", { class: `step ${step.kind ?? ""}`, style: `grid-column: ${there}` },
        make("span", { class: "place" }, words.related(step.place, lanes[there - 1].roles)),
        ...step.lines.map((line) => make("span", {}, line)));
      if (there !== here) {
        const [from, to] = [Math.min(here, there), Math.max(here, there)];
        const arrow = make("span", { class: there > here ? "hop right" : "hop left", "aria-hidden": "true" });
        item.dataset.hop = "";
        list.append(make("li", {
          class: "between", role: "presentation", style: `grid-column: ${from} / ${to + 1}; --span: ${to - from + 1}`,
        }, arrow));
      }
      list.append(item);
      here = there;
    });
    walk.replaceChildren(make("div", { class: "ask-lanes", style: `--lanes: ${lanes.length}` }, ...heads), list);
  }

  // --- the same question elsewhere ---------------------------------------------------------

  function cell(other) {
    const outcome = atlas.outcome(other);
    if (outcome === null) return make("td", { class: "none" }, make("span", { title: words.notAsked }, "·"));
    const current = atlas.write(other) === atlas.write(asked);
    const button = make("button", {
      type: "button",
      tabindex: current ? "0" : "-1",
      "data-asks": atlas.write(other),
      "aria-current": current ? "true" : null,
    }, names.outcome(outcome));
    button.addEventListener("click", () => ask(other));
    return make("td", { class: outcome.replace(" ", "-") }, button);
  }

  const heading = (text, small) => (small ? [text, make("small", {}, small)] : [text]);

  // Fill a table anew and put the focus where it was, or else where its question now stands.
  function fill(table, corner, columns, rows) {
    const focused = table.contains(document.activeElement) ? document.activeElement.dataset.asks : null;
    table.replaceChildren(
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, corner),
        ...columns.map((column) => make("th", { scope: "col" }, ...column)))),
      make("tbody", {}, ...rows.map(([name, cells]) =>
        make("tr", {}, make("th", { scope: "row" }, ...name), ...cells.map(cell)))));
    const buttons = [...table.querySelectorAll("button")];
    if (!buttons.some((one) => one.tabIndex === 0) && buttons.length) buttons[0].tabIndex = 0;
    if (focused !== null) buttons.find((one) => one.dataset.asks === focused)?.focus();
  }

  function showNodes() {
    const { suite, client } = asked;
    const ways = atlas.ways(suite, client);
    const dataplanes = atlas.dataplanes(suite);
    nodesTable.setAttribute("aria-label", words.nodes);
    nodesNote.textContent = words.nodesNote(atlas.nodeDecides(asked), dataplanes.length);
    fill(nodesTable, words.dataplane,
      ways.map((way) => heading(way.node ?? names.way(way), words.relations[way.relation])),
      dataplanes.map((dataplane) => [
        heading(dataplane, words.basis[atlas.basis(suite, dataplane)]),
        ways.map((way) => ({ ...asked, way: way.id, dataplane })),
      ]));
  }

  function showPolicies() {
    const { suite } = asked;
    const dataplanes = atlas.dataplanes(suite);
    const found = [...atlas.byOutcome(asked)].map(([outcome, ones]) => [names.outcome(outcome), ones]);
    everyTable.setAttribute("aria-label", words.every);
    everyNote.textContent = found.length === 1
      ? words.oneAnswer(found[0][0], dataplanes.length)
      : `${asked.policy}: ${words.everyNote(found)}.`;
    fill(everyTable, words.policy,
      dataplanes.map((dataplane) => heading(dataplane, words.basis[atlas.basis(suite, dataplane)])),
      atlas.policies(suite).map((policy) => [
        [policy], dataplanes.map((dataplane) => ({ ...asked, policy, dataplane })),
      ]));
  }

  // Arrow keys move between the cells of a table; each table is one stop of the Tab key.
  function move(event) {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const step = steps[event.key];
    const from = event.target.closest("td");
    if (!step || !from) return;
    const rows = from.parentElement.parentElement.rows;
    const row = rows[from.parentElement.sectionRowIndex + step[0]];
    const to = row?.cells[from.cellIndex + step[1]]?.querySelector("button");
    if (!to) return;
    event.preventDefault();
    for (const one of event.currentTarget.querySelectorAll("button")) one.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }

  // --- begin -------------------------------------------------------------------------------

  for (const table of [nodesTable, everyTable]) table.addEventListener("keydown", move);
  window.addEventListener("hashchange", () => {
    const wish = atlas.read(location.hash);
    if (wish) ask(wish, { note: false });
  });
  build();
  const wish = atlas.read(location.hash);
  ask(wish ?? FIRST, { note: wish !== null });
  for (const one of document.querySelectorAll(".explorer-without-script")) one.hidden = true;
})();

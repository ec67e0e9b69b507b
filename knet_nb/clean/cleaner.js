// The page of a LabelCleaner (knet_nb.clean.cleaner). Its state is in Python and is only shown here: `fixed` never changes,
// `now` does, `thumbs` and `large` are pictures. Clicks and keys are sent as messages, {do: 'keep'} or {do: 'go', at: 12}.

function make(tag, set = {}, ...inside) { // an element with properties or attributes, and what is in it
  const e = document.createElement(tag)
  for (const [k, v] of Object.entries(set)) k in e ? e[k] = v : e.setAttribute(k, v)
  e.append(...inside)
  return e
}
const box = (name, ...inside) => make('div', {className: `knet-${name}`}, ...inside)

// Each part makes its elements once, and gives them back with a function that shows a state in them.
// `page` has what all of them need: fixed, now() and send(), and button(), which is pressed by its key, too.

function facts() { // what is known of the current sample
  const body = make('tbody'), chip = make('span', {className: 'knet-chip'}), table = make('table', {className: 'knet-facts'}, body)
  return [table, ({row}) => {
    table.hidden = !row
    if (!row) return
    const line = (name, value, number) =>
      make('tr', {}, make('th', {scope: 'row', textContent: name}), make('td', {title: value}, value), make('td', {}, number))
    const decision = make('tr', {}, make('th', {scope: 'row', textContent: 'decision'}), make('td', {colSpan: 2}, chip))
    chip.textContent = row.decision; chip.dataset.kind = row.kind
    body.replaceChildren(...row.facts.map(o => line(...o)), decision)
  }]
}

function picture(page) { // the large image, or why there is none
  const image = make('img'), why = make('span')
  return [box('big', image, why), ({row}) => {
    const src = page.large()
    image.hidden = !src; image.alt = row ? `sample ${row.name}` : ''
    if (src && image.src != src) image.src = src
    why.textContent = !row ? 'Nothing to show with this filter' : row.error && `The image cannot be read. ${row.error}`
  }]
}

function acts(page) { // keep, accept, drop, undo
  const one = (what, title) => page.button('', title, () => page.send(what), what[0])
  const keep = one('keep', 'The given label is right'), accept = one('accept', 'The suggestion is right')
  const drop = one('drop', 'Leave the sample out'), undo = one('undo', 'Take the last decision back')
  keep.dataset.kind = 'keep'; accept.dataset.kind = 'accept'; drop.dataset.kind = 'drop'
  drop.textContent = 'Drop (d)'; undo.textContent = 'Undo (u)'
  return [box('acts', keep, accept, drop, undo), ({row, steps}) => {
    const short = row && Math.max(row.given.length, row.suggested.length)<9 // names on both buttons, or on none
    keep.textContent = short ? `Keep ${row.given} (k)` : 'Keep (k)'
    accept.textContent = short ? `Accept ${row.suggested} (a)` : 'Accept (a)'
    for (const b of [keep, accept, drop]) b.disabled = !row
    undo.disabled = !steps
  }]
}

function classes(page) { // a button for each of the first classes, and a list where there are more
  const {classes, names} = page.fixed
  const others = classes.map(({code, key, name}) =>
    page.button(key==name ? name : `${key} ${name}`, `The label is ${name}`, () => page.send('change', {code}), key))
  const options = ['another class ...', ...names].map(o => make('option', {textContent: o}))
  const list = make('select', {'aria-label': 'another class'}, ...options)
  list.onchange = () => { if (list.selectedIndex) page.send('change', {code: list.selectedIndex-1}); list.selectedIndex = 0 }
  const all = box('classes', make('div', {textContent: 'Another label:'}), ...others, ...names.length ? [list] : [])
  return [all, ({row}) => { for (const b of [...others, list]) b.disabled = !row }]
}

function filters(page) { // which rows are shown
  const {menus} = page.fixed // each has a name, texts and values
  const chosen = menus => Object.fromEntries(menus.map((o, i) => [o.name, o.values[lists[i].selectedIndex] ?? null]))
  const send = () => page.send('filter', chosen(menus))
  const lists = menus.map(o => make('select', {onchange: send}, ...o.texts.map(t => make('option', {textContent: t}))))
  return [box('filters', ...menus.map((o, i) => make('label', {}, o.name, lists[i]))),
    now => menus.forEach((o, i) => { lists[i].selectedIndex = o.values.indexOf(now.filter[o.name]) })]
}

function pager(page) { // first, before, number, next, last
  const go = n => page.send('go', {at: page.fixed.page_size*(Math.min(Math.max(n, 1), page.now().n_pages)-1)})
  const first = page.button('«', 'first page', () => go(1), 'Home'), last = page.button('»', 'last page', () => go(Infinity), 'End')
  const back = page.button('‹', 'page before', () => page.send('turn', {n: -1}), 'PageUp')
  const on = page.button('›', 'next page', () => page.send('turn', {n: 1}), 'PageDown')
  const number = make('input', {type: 'number', min: 1, 'aria-label': 'page'}), of = make('span')
  const rest = page.button('Keep the rest of the page', 'Every undecided label of this page is right; one undo takes it back',
    () => page.send('keep_page'))
  number.onchange = () => { go(Math.trunc(number.value) || 1); show(page.now()) }
  function show({page, n_pages, row}) {
    number.value = page+1; number.max = n_pages; of.textContent = `of ${n_pages.toLocaleString('en')}`
    first.disabled = back.disabled = page==0; on.disabled = last.disabled = page>=n_pages-1
    rest.disabled = !row
  }
  return [box('pager', first, back, number, of, on, last, rest), show]
}

function grid(page) { // the thumbnails of a page, each a button
  const slots = Array.from({length: page.fixed.page_size}, (_, i) => {
    const image = make('img', {alt: ''}), text = make('span'), go = () => page.send('go', {at: page.now().first+i})
    return {image, text, button: make('button', {type: 'button', className: 'knet-slot', onclick: go}, image, text)}
  })
  const all = box('grid', ...slots.map(o => o.button))
  for (const [key, way, rows] of [['arrowleft', -1, 0], ['arrowright', 1, 0], ['arrowup', -1, 1], ['arrowdown', 1, 1]])
    page.keys[key] = () => page.send('move', {n: way*(rows ? getComputedStyle(all).gridTemplateColumns.split(' ').length : 1)})
  return [all, ({shown, first, at}) => slots.forEach(({image, text, button}, i) => {
    const o = shown[i], src = page.thumbs()[i]
    button.disabled = !o // its place stays empty
    if (!o) { image.removeAttribute('src'); text.textContent = button.title = ''; return }
    if (image.src != src) image.src = src
    text.textContent = o.text; button.title = o.tip; button.dataset.kind = o.kind
    at==first+i ? button.setAttribute('aria-current', 'true') : button.removeAttribute('aria-current')
  })]
}

function progress() { // how many are decided, in words and as a bar; and what could not be done
  const words = make('div', {role: 'status', className: 'knet-summary'}), bar = box('bar')
  const message = make('div', {role: 'alert', className: 'knet-wrong'})
  return [[words, bar], message, now => {
    words.textContent = now.summary
    bar.replaceChildren(...now.shares.map(([kind, share]) => {
      const part = make('i')
      part.dataset.kind = kind; part.style.width = `${100*share}%`
      return part
    }))
    message.textContent = now.message; message.hidden = !now.message
  }]
}

function help({fixed}) {
  const hints = [['← → ↑ ↓', 'move'], ['k', 'keep'], ['a', 'accept'], ['d', 'drop'], [fixed.digits, 'another label'], ['u', 'undo'],
    ['PgUp PgDn', 'page']]
  const keys = o => o.split(' ').flatMap(t => [make('kbd', {textContent: t}), ' '])
  const said = hints.flatMap(([o, what], i) => [i ? ', ' : '', ...keys(o), what])
  return box('help', 'Click on the page once, then: ', ...said, `. ${fixed.saved}`)
}

function listen(root, keys) { // keys work where the focus is in the page, and only there
  root.addEventListener('keydown', e => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return
    const typing = e.target.matches('input, select'), does = !typing && keys[e.key.toLowerCase()]
    if (does) { e.preventDefault(); does() }
    if (does || typing || e.key.length==1 || e.key=='Enter') e.stopPropagation() // else the notebook takes it as a command of its own
  })
  root.addEventListener('click', e => { // a mouse leaves the focus on the page: a button that is then disabled would lose it
    if (e.detail && !e.target.closest('input, select')) root.focus({preventScroll: true})
  })
}

function render({model, el}) {
  const keys = {}, get = name => () => model.get(name)
  const page = {fixed: model.get('fixed'), now: get('now'), thumbs: get('thumbs'), large: get('large'), keys,
    send: (what, more = {}) => model.send({do: what, ...more}),
    button(text, title, onclick, key) {
      const b = make('button', {type: 'button', textContent: text, title, onclick})
      if (key) { b.setAttribute('aria-keyshortcuts', key); keys[key.toLowerCase()] = () => b.click() } // a disabled one does nothing
      return b
    }}
  const [above, message, ...shown] = progress(), add = ([element, show]) => { shown.push(show); return element }
  const menus = add(filters(page)), side = box('side', ...[picture, facts, acts, classes].map(o => add(o(page))))
  const main = box('main', ...[pager, grid].map(o => add(o(page))))
  const root = make('div', {className: 'knet-cleaner', tabIndex: -1, role: 'group', 'aria-label': 'Label cleaner'},
    ...above, menus, message, box('body', side, main), help(page))
  root.style.setProperty('--columns', page.fixed.columns); root.style.setProperty('--size', `${page.fixed.size}px`)
  for (const [kind, color] of Object.entries(page.fixed.colors)) root.style.setProperty(`--${kind}`, color)

  function show() {
    const focused = root.getRootNode().activeElement, inside = root.contains(focused)
    for (const f of shown) f(page.now())
    if (inside && focused.disabled) root.focus({preventScroll: true})
  }
  show()
  listen(root, keys)
  el.append(root)
  const events = ['now', 'thumbs', 'large'].map(o => `change:${o}`)
  for (const o of events) model.on(o, show)
  return () => { for (const o of events) model.off(o, show) }
}

export default {render}

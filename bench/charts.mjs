import { init } from 'echarts';
import { formats } from './figures.mjs';
import { SERVERS } from './servers.mjs';

const WIDTH = 860;
const HEIGHT = 460;

/** Colours that are told apart also by those who see no red or no green (Okabe and Ito's palette), and symbols. */
const LOOKS = {
  'chat-api': { color: '#0072b2', symbol: 'circle', width: 3 },
  bare: { color: '#e69f00', symbol: 'rect', width: 2 },
  filter: { color: '#cc79a7', symbol: 'triangle', width: 2 },
  'socket.io': { color: '#009e73', symbol: 'diamond', width: 2 },
};
const INK = '#24292f';
const GREY = '#6e7781';
const FAINT = '#d8dee4';
const PAPER = '#ffffff';
const FONT = 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif';

/** Deliveries a second against messages offered a second. */
export function throughputChart(climb, members) {
  const rates = ratesOf(climb);
  const ends = [rates[0], rates.at(-1)].map((rate) => [rate, rate * members]);
  return draw({
    title: 'Throughput against offered load',
    subtitle: `one room of ${formats.count(members)}, the server on one core; logarithmic; hollow: overloaded`,
    x: rateAxis(rates),
    y: { type: 'log', name: 'deliveries a second', axisLabel: { formatter: short } },
    series: [everythingOffered(ends), ...climb.map((each) => climbLine(each, ({ delivered }) => delivered))],
  });
}

/** p99 of the time from a message's sending to its delivery, against messages offered a second. */
export function latencyChart(climb, members) {
  return draw({
    title: 'Latency (p99) against offered load',
    subtitle: `one room of ${formats.count(members)}, from send to delivery; logarithmic; lower is better; hollow: overloaded`,
    x: rateAxis(ratesOf(climb)),
    y: { type: 'log', name: 'p99, milliseconds', axisLabel: { formatter: formats.count } },
    series: climb.map((each) => climbLine(each, ({ p99 }) => p99)),
  });
}

/** Growth of the resident set against idle connections. */
export function memoryChart(growth) {
  const kb = (points) => formats.kb(kilobytesEach(points));
  return draw({
    title: 'Memory against idle connections',
    subtitle: 'growth of the resident set from none to all; lower is better; in the legend: each connection at the last point',
    x: { type: 'value', name: 'connections', axisLabel: { formatter: formats.count } },
    y: { type: 'value', name: 'megabytes' },
    series: growth.map(({ server, points }) => line(server, [[0, 0], ...points], `${SERVERS[server].title}: ${kb(points)}`)),
  });
}

function draw({ title, subtitle, x, y, series }) {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  const axis = {
    axisLine: { show: true, lineStyle: { color: GREY } },
    axisTick: { show: true },
    splitLine: { lineStyle: { color: FAINT } },
  };
  const text = { color: INK, fontSize: 13 };
  const axisText = { color: INK, fontSize: 12 };
  chart.setOption({
    animation: false,
    backgroundColor: PAPER,
    textStyle: { fontFamily: FONT },
    title: {
      text: title,
      subtext: subtitle,
      left: 16,
      top: 10,
      textStyle: { color: INK, fontSize: 17 },
      subtextStyle: { color: GREY, fontSize: 13 },
    },
    legend: { bottom: 8, itemGap: 28, textStyle: axisText },
    grid: { left: 72, right: 36, top: 96, bottom: 92 },
    xAxis: {
      ...axis,
      nameLocation: 'middle',
      nameGap: 32,
      nameTextStyle: text,
      ...x,
      axisLabel: { ...axisText, ...x.axisLabel },
    },
    yAxis: {
      ...axis,
      nameLocation: 'end',
      nameGap: 12,
      nameTextStyle: { ...text, align: 'left', padding: [0, 0, 0, -56] },
      ...y,
      axisLabel: { ...axisText, ...y.axisLabel },
    },
    series,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

/** A logarithmic axis with a mark at each rate that was offered, and some air at its ends. */
function rateAxis(rates) {
  return {
    type: 'log',
    name: 'messages a second offered to the room',
    min: rates[0] * 0.9,
    max: rates.at(-1) * 1.1,
    axisTick: { show: true, customValues: rates },
    axisLabel: { formatter: formats.count, customValues: rates },
    splitLine: { show: false },
  };
}

function ratesOf(climb) {
  const rates = climb.flatMap(({ points }) => points.map(({ offered }) => offered));
  return [...new Set(rates)].sort((a, b) => a - b);
}

/** A server's line, hollow where it was overloaded. */
function climbLine({ server, points }, figure) {
  const { color } = LOOKS[server];
  const hollow = { color: PAPER, borderColor: color, borderWidth: 2 };
  const data = points.map((point) => ({ value: [point.offered, figure(point)], ...(point.overloaded && { itemStyle: hollow }) }));
  return line(server, data);
}

function line(server, data, name = SERVERS[server].title) {
  const { color, symbol, width } = LOOKS[server];
  return { type: 'line', name, data, symbol, symbolSize: 9, color, lineStyle: { width, color }, itemStyle: { color } };
}

/** A broad band behind the lines, where one lies that brings all that is asked of it. */
function everythingOffered(data) {
  const lineStyle = { width: 10, color: FAINT, cap: 'round' };
  return {
    type: 'line',
    name: 'all that is offered',
    data,
    symbol: 'none',
    color: FAINT,
    lineStyle,
    itemStyle: { color: FAINT },
  };
}

function kilobytesEach(points) {
  const [connections, megabytes] = points.at(-1);
  return (megabytes * 1024) / connections;
}

function short(value) {
  if (value >= 1e6) return `${value / 1e6} M`;
  return value >= 1000 ? `${value / 1000} k` : String(value);
}

/**
 * Plots as SVG files: lines or points with confidence intervals, drawn by ECharts without a browser. Knows numbers and
 * labels, not what they mean.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { CustomSeriesOption, EChartsOption, LineSeriesOption, ScatterSeriesOption } from 'echarts'

/** A point, with the ends of its confidence interval where it has one. */
export interface PlotPoint { readonly x: number, readonly y: number, readonly low?: number, readonly high?: number }

/** Points of one name and colour. */
export interface PlotSeries {
  readonly name: string
  /** Joined in order by a line, or single points. */
  readonly kind: 'line' | 'points'
  readonly points: readonly PlotPoint[]
}

/** A picture of series over two axes. */
export interface Plot {
  readonly title: string
  readonly x: { readonly label: string, readonly scale?: 'linear' | 'log' }
  readonly y: { readonly label: string, readonly scale?: 'linear' | 'log' }
  readonly series: readonly PlotSeries[]
}

const fontFamily = 'Arial, Helvetica, sans-serif'
const size = { width: 760, height: 440 } as const
/** Paul Tol's bright scheme, which colour-blind readers can tell apart, and darker shades of it. */
const colours = ['#4477aa', '#ee6677', '#228833', '#aa3377', '#ccbb44', '#66ccee', '#777777', '#1b3a57', '#8f2b39',
  '#0f4d1b', '#5e1745', '#7a6f1b', '#2b7a94', '#333333']

type RenderItem = NonNullable<CustomSeriesOption['renderItem']>

/** One vertical line from low to high for each point: [x, low, high]. */
const interval = (colour: string): RenderItem => (_params, api) => {
  const [x, low] = api.coord([api.value(0), api.value(1)]) as [number, number]
  const [, high] = api.coord([api.value(0), api.value(2)]) as [number, number]
  return {
    type: 'line', shape: { x1: x, y1: low, x2: x, y2: high }, style: { stroke: colour, lineWidth: 1.5, opacity: 0.55 }
  }
}

function seriesOf ({ name, kind, points }: PlotSeries, colour: string): Array<LineSeriesOption | ScatterSeriesOption
  | CustomSeriesOption> {
  const bounded = points.filter(point => point.low !== undefined && point.high !== undefined)
  const data = points.map(({ x, y }) => [x, y])
  return [
    kind === 'line'
      ? { name, type: 'line', data, color: colour, symbolSize: 5, animation: false }
      : { name, type: 'scatter', data, color: colour, symbolSize: 9, animation: false },
    ...bounded.length > 0
      ? [{
          name,
          type: 'custom' as const,
          data: bounded.map(({ x, low, high }) => [x, low!, high!]),
          renderItem: interval(colour),
          encode: { x: 0, y: [1, 2] },
          color: colour,
          silent: true,
          animation: false
        }]
      : []
  ]
}

function optionOf ({ title, x, y, series }: Plot): EChartsOption {
  const axis = ({ label, scale = 'linear' }: Plot['x'], gap: number): object => ({
    type: scale === 'log' ? 'log' : 'value',
    name: label,
    nameLocation: 'middle',
    nameGap: gap,
    scale: true,
    axisLine: { onZero: false },
    ...(scale === 'log' ? { logBase: 2 } : {})
  })
  // A row of names holds about 110 characters.
  const rows = Math.ceil(series.reduce((sum, one) => sum + one.name.length + 6, 0) / 105)
  return {
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily },
    title: { text: title, left: 'center', top: 8, textStyle: { fontSize: 15, fontFamily } },
    legend: {
      bottom: 6,
      left: 20,
      right: 20,
      itemWidth: 14,
      itemGap: 16,
      textStyle: { fontSize: 11, fontFamily },
      data: series.map(one => one.name)
    },
    grid: { left: 74, right: 30, top: 44, bottom: 54 + 18 * rows },
    xAxis: axis(x, 28),
    yAxis: axis(y, 50),
    series: series.flatMap((one, index) => seriesOf(one, colours[index % colours.length]!))
  }
}

/** A named value, with the ends of its interval: value itself where it is exact. */
export interface Bar { readonly name: string, readonly value: number, readonly low: number, readonly high: number }

async function draw (option: EChartsOption, height: number): Promise<string> {
  // Half a second that commands without a plot need not wait for.
  const echarts = await import('echarts')
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: size.width, height })
  try {
    chart.setOption(option)
    return chart.renderToSVGString()
  } finally {
    chart.dispose()
  }
}

/** A plot as SVG. Series without points are left out. */
export const drawPlot = (plot: Plot): Promise<string> =>
  draw(optionOf({ ...plot, series: plot.series.filter(one => one.points.length > 0) }), size.height)

/** Values as SVG: a bar each, from the top, the first in a colour of its own. */
export const drawBars = (title: string, bars: readonly Bar[]): Promise<string> => draw({
  animation: false,
  backgroundColor: '#ffffff',
  textStyle: { fontFamily },
  title: { text: title, left: 'center', top: 8, textStyle: { fontSize: 15, fontFamily } },
  grid: { left: 300, right: 120, top: 44, bottom: 16 },
  xAxis: { type: 'value', show: false },
  yAxis: {
    type: 'category',
    inverse: true,
    data: bars.map(({ name }) => name),
    axisTick: { show: false },
    axisLine: { show: false },
    axisLabel: { fontSize: 12 }
  },
  series: [{
    type: 'bar',
    barWidth: 14,
    data: bars.map(({ value }, index) => ({ value, itemStyle: { color: colours[index === 0 ? 0 : 6]! } })),
    label: {
      show: true,
      position: 'right',
      formatter: ({ dataIndex }) => {
        const { value, low, high } = bars[dataIndex]!
        const interval = low === high ? '' : ` (${low.toFixed(2)}–${high.toFixed(2)})`
        return `${value.toFixed(2)}${interval}`
      }
    }
  }]
}, 60 + 26 * bars.length)

/** Draws a plot into a file. */
export async function writePlot (file: string, plot: Plot): Promise<void> {
  const svg = await drawPlot(plot)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, svg)
}

import { theme, type ThemeConfig } from 'antd'

/** Paper and ink: one blue for what can be acted on, one red for what is broken or cannot be undone; text colours of a contrast of 4.5 or more. */
const common = {
  borderRadius: 3,
  fontSize: 14,
  fontFamily: `system-ui, "Microsoft YaHei", "PingFang SC", "Noto Sans CJK SC", "Noto Sans SC", sans-serif`,
  wireframe: true,
}

const light = {
  colorPrimary: '#1f4f86',
  colorLink: '#1a56a0',
  colorError: '#b3261e',
  colorText: '#1c2126',
  colorTextBase: '#1c2126',
  colorBgLayout: '#f7f6f3',
  colorBgContainer: '#fdfcfa',
  colorTextDescription: 'rgba(28,33,38,.72)',
  colorTextTertiary: 'rgba(28,33,38,.72)',
  colorTextSecondary: 'rgba(28,33,38,.78)',
  colorTextPlaceholder: 'rgba(28,33,38,.64)',
  colorTextQuaternary: 'rgba(28,33,38,.64)',
  colorTextDisabled: 'rgba(28,33,38,.64)',
}

const dark = {
  colorPrimary: '#3872ae',
  colorLink: '#8cc0ff',
  colorErrorText: '#ff9a9a',
  colorBgBase: '#15181c',
  colorBgLayout: '#15181c',
  colorTextDescription: 'rgba(255,255,255,.72)',
  colorTextTertiary: 'rgba(255,255,255,.72)',
  colorTextPlaceholder: 'rgba(255,255,255,.62)',
  colorTextQuaternary: 'rgba(255,255,255,.62)',
  colorTextDisabled: 'rgba(255,255,255,.62)',
}

/** Lines that were ticked: their links stay legible. */
const lightRows = { rowSelectedBg: '#e4eaf1', rowSelectedHoverBg: '#dbe3ec' }
const darkRows = { rowSelectedBg: '#22344a', rowSelectedHoverBg: '#283d57' }

/** What cannot be undone, on dark ground: ink on a light red. */
const darkDanger = { colorError: '#ff9a9a', colorErrorHover: '#ffb3b3', colorErrorActive: '#ff8585', dangerColor: '#15181c' }

export function themeOf(isDark: boolean): ThemeConfig {
  // Who wants nothing to move is shown everything at once.
  const motion = !matchMedia('(prefers-reduced-motion: reduce)').matches
  return {
    algorithm: isDark ? theme.darkAlgorithm : theme.defaultAlgorithm,
    token: { ...common, ...(isDark ? dark : light), motion },
    components: {
      Button: isDark ? darkDanger : {},
      Segmented: isDark ? { trackBg: '#2a3037', itemSelectedBg: '#4a5561' } : { trackBg: '#e6e1d6', itemSelectedBg: '#fdfcfa' },
      Table: { cellPaddingBlockSM: 6, cellPaddingInlineSM: 8, ...(isDark ? darkRows : lightRows) },
      Layout: { headerHeight: 48, headerPadding: '0 16px' },
    },
  }
}

declare module 'virtual:qianzhi-meta' {
  const meta: import('../meta-shape.ts').Meta
  export default meta
}

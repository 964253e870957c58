declare module 'virtual:qianzhi-workflows' {
  const workflows: import('../meta-shape.ts').WorkflowsMeta
  export default workflows
}
declare module 'virtual:qianzhi-meta' {
  const meta: import('../meta-shape.ts').Meta
  export default meta
}

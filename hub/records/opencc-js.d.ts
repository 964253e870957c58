/** The package has types for its converters alone. `<traditional> <simplified>…`, separated by `|`. */
declare module 'opencc-js/dict/TSCharacters' {
  const pairs: string
  export default pairs
}

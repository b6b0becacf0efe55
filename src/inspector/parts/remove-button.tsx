/** A small cross that takes something away; its label says what. */
export function RemoveButton ({ label, onClick }: { readonly label: string, readonly onClick: () => void }) {
  return <button type='button' class='quiet small' aria-label={label} onClick={onClick}>✕</button>
}

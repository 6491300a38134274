export default function Room() {
  return <p class="empty">…</p>;
}
